import { readlinkSync } from 'node:fs'
import { hasCode } from '../../../runtime-shim/mount/error-code.ts'
import { allProcesses, gone, type ProcessStat, statOf } from '../process/stat.ts'

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
  // It has ended: those of all others that cannot be looked at are not its.
  if (namespace === undefined) return { processes: 0, cpuSeconds: 0, memory: 0 }
  const stats = allProcesses()
    .filter((pid) => namespaceOf(pid) === namespace)
    .flatMap((pid) => statOf(pid) ?? [])
  const sum = (of: (stat: ProcessStat) => number): number => stats.reduce((total, stat) => total + of(stat), 0)
  return {
    processes: stats.length,
    cpuSeconds: sum(({ ticks }) => ticks) / ticksPerSecond,
    memory: sum(({ pages }) => pages) * pageSize,
  }
}
