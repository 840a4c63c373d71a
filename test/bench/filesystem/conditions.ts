import { readFileSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { execa } from 'execa'

interface CpuTime {
  idle: number
  total: number
}

/** All processors together, in ticks since the machine started (proc_stat(5)): idle is idle or waiting for a disk. */
const cpuTime = (): CpuTime => {
  const [, ...ticks] = readFileSync('/proc/stat', 'utf8').split('\n', 1).join('').trim().split(/\s+/)
  const counts = ticks.map(Number)
  return { idle: (counts[3] ?? 0) + (counts[4] ?? 0), total: counts.reduce((sum, count) => sum + count, 0) }
}

const watchMs = 250
const enoughIdle = 0.8
const patienceMs = 1_000

/** Returns when the machine has next to nothing else to do; on a busy one after a while all the same. */
export const waitForQuiet = async (): Promise<void> => {
  const deadline = performance.now() + patienceMs
  while (performance.now() < deadline) {
    const before = cpuTime()
    await sleep(watchMs)
    const after = cpuTime()
    if (after.idle - before.idle >= enoughIdle * (after.total - before.total)) return
  }
}

const touchedMebibytes = 640

/**
 * Fills and frees as much page cache as a workload needs, of the volume, whose pages are of the same kind. A virtual
 * machine gets its memory at the first touch, which takes longer than writing to a disk: whoever came first would pay
 * for whoever comes next.
 */
export const touchMemory = async (volume: string): Promise<void> => {
  const file = join(volume, 'touched')
  await execa('dd', ['if=/dev/zero', `of=${file}`, 'bs=1M', `count=${touchedMebibytes}`])
  rmSync(file)
}
