import { readdirSync, readFileSync } from 'node:fs'
import { getPriority, setPriority } from 'node:os'

/** As numbers; none of a process that has ended (proc_pid_task(5)). */
const threadsOf = (pid: number): number[] => {
  try {
    return readdirSync(`/proc/${pid}/task`).map(Number)
  } catch {
    return []
  }
}

const childrenOf = (pid: number, thread: number): number[] => {
  try {
    const text = readFileSync(`/proc/${pid}/task/${thread}/children`, 'utf8')
    return text.split(' ').filter(Boolean).map(Number)
  } catch {
    return []
  }
}

const descendantsOf = (pid: number): number[] =>
  threadsOf(pid)
    .flatMap((thread) => childrenOf(pid, thread))
    .flatMap((child) => [child, ...descendantsOf(child)])

const raise = (thread: number): boolean => {
  try {
    if (getPriority(thread) <= getPriority()) return false
    setPriority(thread, getPriority())
    return true
  } catch {
    // It has ended, or this process may not: then it goes on giving way, which costs nothing on an idle machine.
    return false
  }
}

/**
 * Gives this process's priority to all that another has started and that gave way
 * to others (nice(1)). Linux keeps the priority by thread, and each thread's
 * children inherit it: it looks again until it finds none.
 */
export const raiseDescendants = (pid: number): void => {
  while (descendantsOf(pid).flatMap(threadsOf).map(raise).some(Boolean));
}
