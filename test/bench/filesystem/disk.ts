import { readFileSync } from 'node:fs'
import { basename } from 'node:path'
import { median } from '../statistics.ts'
import type { DiskWork } from './results.ts'

const sectorsPerKibibyte = 2

/** Since the machine started (Documentation/block/stat.rst in the kernel). */
export const readDiskWork = (device: string): DiskWork => {
  const text = readFileSync(`/sys/block/${basename(device)}/stat`, 'utf8')
  const field = text.trim().split(/\s+/).map(Number)
  const at = (index: number): number => field[index] ?? 0
  return {
    reads: at(0),
    kibibytesRead: at(2) / sectorsPerKibibyte,
    writes: at(4),
    kibibytesWritten: at(6) / sectorsPerKibibyte,
    flushes: at(15),
  }
}

const combine = (of: (get: (work: DiskWork) => number) => number): DiskWork => ({
  reads: of(({ reads }) => reads),
  kibibytesRead: of(({ kibibytesRead }) => kibibytesRead),
  writes: of(({ writes }) => writes),
  kibibytesWritten: of(({ kibibytesWritten }) => kibibytesWritten),
  flushes: of(({ flushes }) => flushes),
})

/** The work between two readings, for one of the operations that it was done for. */
export const since = (before: DiskWork, after: DiskWork, operations: number): DiskWork =>
  combine((get) => (get(after) - get(before)) / operations)

export const medianOf = (works: readonly DiskWork[]): DiskWork => combine((get) => median(works.map(get)))
