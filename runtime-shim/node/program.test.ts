import { setTimeout as sleep } from 'node:timers/promises'
import { expect, test } from 'vitest'
import { runProgram } from './program.ts'

const shell = (script: string, options = {}) => runProgram('sh', ['-c', script], options)

test('what a program says, and how it ends', async () => {
  expect(await shell('printf out; printf err >&2; exit 3')).toEqual({
    stdout: Buffer.from('out'),
    stderr: 'err',
    exitCode: 3,
    timedOut: false,
  })
  expect(await shell('kill -KILL $$')).toMatchObject({ exitCode: undefined, timedOut: false })
})

test('it has the environment that it is given, and no input', async () => {
  const { stdout } = await shell('cat; echo "$WORD"', { env: { PATH: process.env.PATH, WORD: 'word' } })
  expect(stdout.toString()).toBe('word\n')
})

test('one that is not there cannot be started', async () => {
  await expect(runProgram('/nothing/there', [])).rejects.toMatchObject({ code: 'ENOENT' })
})

test('its time may be up', async () => {
  expect(await shell('exec sleep 60', { timeoutMs: 100 })).toMatchObject({ exitCode: undefined, timedOut: true })
})

test('it is ended by a signal, and has ended then', async () => {
  const ending = new AbortController()
  const ended = shell('echo $$; exec sleep 60', { signal: ending.signal })
  await sleep(200)
  ending.abort()
  const { stdout, exitCode, timedOut } = await ended
  expect({ exitCode, timedOut }).toEqual({ exitCode: undefined, timedOut: false })
  expect(() => process.kill(Number(stdout.toString()), 0)).toThrow('ESRCH')
})
