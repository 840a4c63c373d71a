import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { getPriority } from 'node:os'
import { createInterface } from 'node:readline'
import { expect, test } from 'vitest'
import { raiseDescendants } from './priority.ts'

test('what a process has started gets its own priority, and what that has started', async () => {
  const niced = spawn('nice', ['-n', '19', 'sh', '-c', 'sleep 60 & echo $!; wait'], {
    stdio: ['ignore', 'pipe', 'ignore'],
  })
  try {
    const [sleep] = await once(createInterface(niced.stdout), 'line')
    const priorities = () => [niced.pid ?? 0, Number(sleep)].map((pid) => getPriority(pid))
    expect(priorities()).toEqual([19, 19])
    raiseDescendants(process.pid)
    expect(priorities()).toEqual([getPriority(), getPriority()])
    process.kill(Number(sleep))
    await once(niced, 'close')
  } finally {
    niced.kill()
  }
})
