import { readdirSync, readFileSync } from 'node:fs'
import { hasCode } from '../../../runtime-shim/mount/error-code.ts'

/** A process, as /proc shows it (proc_pid_stat(5)). */
export interface ProcessStat {
  state: string
  parent: number
  startTicks: string
  /** Of user and system time. */
  ticks: number
  /** Pages in memory. */
  pages: number
}

/** What reading of a process says that is no more, or is another user's. */
export const gone = ['ENOENT', 'ESRCH', 'EACCES'] as const

/** The fields after the program's name, which may have anything in it. */
export const statOf = (pid: number | string): ProcessStat | undefined => {
  try {
    const text = readFileSync(`/proc/${pid}/stat`, 'utf8')
    const fields = text.slice(text.lastIndexOf(')') + 2).split(' ')
    const [state = '', startTicks = ''] = [fields[0], fields[19]]
    const [parent, user, system, pages] = [fields[1], fields[11], fields[12], fields[21]].map(Number)
    return { state, parent: parent ?? 0, startTicks, ticks: (user ?? 0) + (system ?? 0), pages: pages ?? 0 }
  } catch (error) {
    if (hasCode(error, ...gone)) return undefined
    throw error
  }
}

/** When it was started; undefined when it is not there, or has ended and only its parent has not noticed. */
export const startTicks = (pid: number): string | undefined => {
  const stat = statOf(pid)
  return stat === undefined || stat.state === 'Z' || stat.state === 'X' ? undefined : stat.startTicks
}

export const allProcesses = (): number[] =>
  readdirSync('/proc').flatMap((entry) => (/^\d+$/.test(entry) ? [Number(entry)] : []))

export const onlyChildOf = (pid: number): number | undefined =>
  allProcesses().find((each) => statOf(each)?.parent === pid)
