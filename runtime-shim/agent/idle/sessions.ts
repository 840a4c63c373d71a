import { readFileSync } from 'node:fs'
import { hasCode } from '../../mount/error-code.ts'

/** A process that somebody started in the container from outside: `kubectl exec`, a probe. */
export interface Session {
  command: string
  ageMs: number
}

/** A process as the kernel has it (proc(5)). */
export interface Process {
  parent: number
  command: string
  /** Since the machine's start. */
  startMs: number
  /** Its ids, from the reader's pid namespace inwards. */
  ids: number[]
}

/** `USER_HZ` is 100 wherever Kubernetes runs. */
const msPerTick = 10

/** What is asked in tests of made-up processes. */
export interface ProcessTable {
  /** Undefined when it has ended. */
  get(pid: number): Process | undefined
  uptimeMs(): number
}

const parse = (stat: string, status: string): Process => {
  // The name may hold anything, also what looks like the end of it.
  const afterName = stat.lastIndexOf(')')
  const fields = stat.slice(afterName + 2).split(' ')
  return {
    parent: Number(fields[1]),
    command: stat.slice(stat.indexOf('(') + 1, afterName),
    startMs: Number(fields[19]) * msPerTick,
    ids: (/^NSpid:\s+(.*)$/m.exec(status)?.[1] ?? '').split(/\s+/).map(Number),
  }
}

export const kernelProcesses: ProcessTable = {
  get: (pid) => {
    try {
      return parse(readFileSync(`/proc/${pid}/stat`, 'utf8'), readFileSync(`/proc/${pid}/status`, 'utf8'))
    } catch (error) {
      if (hasCode(error, 'ENOENT', 'ESRCH')) return undefined
      throw error
    }
  },
  uptimeMs: () => Number(readFileSync('/proc/uptime', 'utf8').split(' ')[0]) * 1000,
}

/** Processes whose parent has ended are given to the first process of their namespace: of a pod that shares one, its pause process. */
const isInitOf = (parent: Process | undefined, child: Process): boolean =>
  parent !== undefined && parent.ids.length === child.ids.length && parent.ids.at(-1) === 1

/**
 * Those of a container's processes that came from outside: neither its first
 * process nor a child of any other. What such a process leaves behind in the
 * background is a child of the first, and counts by the CPU that it uses.
 *
 * @param init the container's first process
 * @param pids all of the container's
 */
export const sessionsOf = (init: number, pids: readonly number[], table: ProcessTable): Session[] => {
  const members = new Set(pids)
  return pids.flatMap((pid) => {
    const found = pid === init ? undefined : table.get(pid)
    if (!found || members.has(found.parent) || isInitOf(table.get(found.parent), found)) return []
    return [{ command: found.command, ageMs: table.uptimeMs() - found.startMs }]
  })
}
