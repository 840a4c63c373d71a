import { execa } from 'execa'
import { describe, expect, test } from 'vitest'
import { kernelProcesses, type Process, type ProcessTable, sessionsOf } from './sessions.ts'

const uptimeMs = 100_000
const tableOf = (processes: Record<number, Partial<Process>>): ProcessTable => ({
  get: (pid) => {
    const process = processes[pid]
    return process && { parent: 0, command: 'x', startMs: 40_000, ids: [pid], ...process }
  },
  uptimeMs: () => uptimeMs,
})
const commands = (pids: number[], table: ProcessTable) => sessionsOf(50, pids, table).map(({ command }) => command)

/** The shim 10 has started the first process 50, and whatever comes by exec. */
const shim = { 10: { parent: 1, ids: [10] } }
const inside = (parent: number, command: string, own: number): Partial<Process> => ({
  parent,
  command,
  ids: [own, own],
})

describe('processes that came from outside', () => {
  test('are children of none of the container’s', () => {
    const table = tableOf({
      ...shim,
      50: { parent: 10, command: 'init', ids: [50, 1] },
      51: inside(50, 'server', 51),
      60: inside(10, 'bash', 60),
      61: inside(60, 'make', 61),
    })
    expect(sessionsOf(50, [50, 51, 60, 61], table)).toEqual([{ command: 'bash', ageMs: 60_000 }])
  })

  test('what they left in the background belongs to the first process', () => {
    const table = tableOf({ ...shim, 50: { parent: 10, ids: [50, 1] }, 62: inside(50, 'nohup', 62) })
    expect(commands([50, 62], table)).toEqual([])
  })

  test('where the pod shares its processes, it belongs to the pause process', () => {
    const table = tableOf({
      ...shim,
      40: { parent: 10, command: 'pause', ids: [40, 1] },
      50: { parent: 10, ids: [50, 7] },
      62: inside(40, 'nohup', 62),
      63: inside(10, 'bash', 63),
    })
    expect(commands([50, 62, 63], table)).toEqual(['bash'])
  })

  test('one that has ended meanwhile is none', () => {
    expect(commands([50, 70], tableOf({ ...shim, 50: { parent: 10 } }))).toEqual([])
  })
})

test('a process as the kernel has it, whatever its name', async () => {
  const child = execa('perl', ['-e', '$0 = "odd ) R 1 name"; print "up"; $| = 1; print "\\n"; sleep 60'])
  await new Promise((resolve) => child.stdout.once('data', resolve))
  const found = kernelProcesses.get(child.pid ?? 0)
  expect(found).toMatchObject({ parent: process.pid, command: 'odd ) R 1 name' })
  expect(found?.ids.at(0)).toBe(child.pid)
  const ageMs = kernelProcesses.uptimeMs() - (found?.startMs ?? 0)
  expect(ageMs).toBeGreaterThanOrEqual(0)
  expect(ageMs).toBeLessThan(60_000)
  child.kill()
  await child.catch(() => undefined)
  expect(kernelProcesses.get(child.pid ?? 0)).toBeUndefined()
})
