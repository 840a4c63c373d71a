import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { closeSync, mkdtempSync, openSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { sweepNamedLocks, withNamedLock } from './named-lock.ts'
import { flock, lockKind } from './syscalls.ts'

let lockDir: string
beforeEach(() => {
  lockDir = mkdtempSync(join(tmpdir(), 'lamina-locks-'))
})
afterEach(() => rmSync(lockDir, { recursive: true }))

const locks = () => readdirSync(lockDir)
const before = () => new Date(0)
const later = () => new Date(Date.now() + 1_000)

test('locks that nobody has are removed once they are old enough', () => {
  withNamedLock(lockDir, 'one', () => {})
  sweepNamedLocks(lockDir, before())
  expect(locks()).toEqual(['one'])
  sweepNamedLocks(lockDir, later())
  expect(locks()).toEqual([])
})

test('who may not wait for ever gives up with EAGAIN', () => {
  withNamedLock(lockDir, 'one', () => {
    expect(() => withNamedLock(lockDir, 'one', () => {}, 20)).toThrow(/EAGAIN/)
  })
})

test('one that somebody has stays', () => {
  withNamedLock(lockDir, 'one', () => sweepNamedLocks(lockDir, later()))
  expect(locks()).toEqual(['one'])
})

test('who waited for one that was removed meanwhile takes the one that is there now', async () => {
  const path = join(lockDir, 'one')
  const removed = openSync(path, 'a')
  flock(removed, lockKind.exclusive, { wait: true })
  const script = `
    import { existsSync, writeSync } from 'node:fs'
    import { withNamedLock } from '${import.meta.dirname}/named-lock.ts'
    writeSync(1, 'waits ')
    withNamedLock('${lockDir}', 'one', () => writeSync(1, existsSync('${path}') ? 'has it' : 'has none'))`
  const waiter = spawn(process.execPath, ['--input-type=module-typescript', '--eval', script], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  let output = ''
  waiter.stdout.setEncoding('utf8').on('data', (text: string) => {
    output += text
  })
  await once(waiter.stdout, 'data')
  rmSync(path)
  closeSync(removed)
  await once(waiter, 'close')
  expect(output).toBe('waits has it')
})
