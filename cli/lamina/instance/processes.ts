import { readdirSync, readFileSync, readlinkSync } from 'node:fs'
import { hasCode } from '../../../runtime-shim/mount/error-code.ts'

/** Processes, as /proc shows them (proc(5)). */

interface ProcessStat {
  state: string
  startTicks: string
  /** Of user and system time. */
  ticks: number
  /** Pages in memory. */
  pages: number
}

const gone = ['ENOENT', 'ESRCH', 'EACCES']

/** The fields after the program's name, which may have anything in it. */
const statOf = (pid: number | string): ProcessStat | undefined => {
  try {
    const text = readFileSync(`/proc/${pid}/stat`, 'utf8')
    const fields = text.slice(text.lastIndexOf(')') + 2).split(' ')
    const [state = '', startTicks = ''] = [fields[0], fields[19]]
    const [user, system, pages] = [fields[11], fields[12], fields[21]].map(Number)
    return { state, startTicks, ticks: (user ?? 0) + (system ?? 0), pages: pages ?? 0 }
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

const namespaceOf = (pid: number | string): string | undefined => {
  try {
    return readlinkSync(`/proc/${pid}/ns/pid`)
  } catch (error) {
    if (hasCode(error, ...gone)) return undefined
    throw error
  }
}

export interface Use {
  processes: number
  /** Seconds of all that run now. */
  cpuSeconds: number
  /** Bytes in memory; what processes share counts more than once. */
  memory: number
}

const ticksPerSecond = 100
const pageSize = 4096

/** What the processes of one's process namespace use. */
export const useOf = (init: number): Use => {
  const namespace = namespaceOf(init)
  const stats = readdirSync('/proc')
    .filter((entry) => /^\d+$/.test(entry) && namespaceOf(entry) === namespace)
    .flatMap((pid) => statOf(pid) ?? [])
  const sum = (of: (stat: ProcessStat) => number): number => stats.reduce((total, stat) => total + of(stat), 0)
  return {
    processes: stats.length,
    cpuSeconds: sum(({ ticks }) => ticks) / ticksPerSecond,
    memory: sum(({ pages }) => pages) * pageSize,
  }
}
