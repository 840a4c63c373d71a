import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { hasEnded, runningProcess } from './processes.ts'

describe('the process that a pid file names', () => {
  let dir: string
  let pidFile: string
  let child: ChildProcess
  beforeAll(async () => {
    dir = await mkdtemp(join(tmpdir(), 'lamina-pid-'))
    pidFile = join(dir, 'pid')
  })
  afterAll(() => rm(dir, { recursive: true }))
  beforeEach(async () => {
    child = spawn('sleep', ['60'])
    await once(child, 'spawn')
    await writeFile(pidFile, String(child.pid))
    return async () => {
      child.kill('SIGKILL')
    }
  })

  test('runs while it does, with its arguments', async () => {
    expect(await runningProcess(pidFile, 'sleep')).toMatchObject({ pid: child.pid, argv: ['sleep', '60'] })
    expect(await hasEnded(pidFile, 'sleep')).toBe(false)
  })

  test('is known by the end of its path, whichever tree that is in', async () => {
    const other = spawn('/bin/sleep', ['60'])
    await once(other, 'spawn')
    await writeFile(pidFile, String(other.pid))
    expect(await runningProcess(pidFile, 'bin/sleep')).toMatchObject({ pid: other.pid })
    expect(await hasEnded(pidFile, 'bin/sleep')).toBe(false)
    expect(await hasEnded(pidFile, 'n/sleep')).toBe(true)
    other.kill('SIGKILL')
  })

  test('has ended when the number is another program’s', async () => {
    expect(await runningProcess(pidFile, 'guardian.ts')).toBeUndefined()
    expect(await hasEnded(pidFile, 'guardian.ts')).toBe(true)
  })

  test('has ended after its death, and without a file', async () => {
    child.kill('SIGKILL')
    await once(child, 'close')
    expect(await runningProcess(pidFile, 'sleep')).toBeUndefined()
    expect(await hasEnded(pidFile, 'sleep')).toBe(true)
    expect(await hasEnded(join(dir, 'none'), 'sleep')).toBe(true)
  })
})
