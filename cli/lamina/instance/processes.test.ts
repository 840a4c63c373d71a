import { spawn } from 'node:child_process'
import { expect, test, vi } from 'vitest'
import { allProcesses, statOf } from '../process/stat.ts'
import { useOf } from './processes.ts'

/** The largest number that a process can have on Linux, and one more. */
const nobody = 2 ** 22 + 1

test('an init that has ended has none of the processes that cannot be looked at', async () => {
  // Whose parent does not wait for it, it is a process without namespaces.
  const parent = spawn('sh', ['-c', 'sleep 0 & exec sleep 1000'], { stdio: 'ignore' })
  const isUnreaped = (pid: number): boolean => statOf(pid)?.parent === parent.pid && statOf(pid)?.state === 'Z'
  try {
    await vi.waitFor(() => expect(allProcesses().some(isUnreaped)).toBe(true))
    expect(useOf(nobody)).toEqual({ processes: 0, cpuSeconds: 0, memory: 0 })
  } finally {
    parent.kill('SIGKILL')
  }
})
