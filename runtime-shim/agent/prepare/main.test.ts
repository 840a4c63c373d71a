import { type ChildProcess, spawn } from 'node:child_process'
import { appendFileSync, chmodSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { build } from 'esbuild'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { writeJson } from '../../node/json-file.ts'
import { bundleOptions } from '../../runtime/bundle-options.ts'

/** In a folder of its own, without koffi: as any user, with nothing beside it. */
let app: string
let dir: string
beforeAll(async () => {
  app = mkdtempSync(join(tmpdir(), 'lamina-prepare-app-'))
  chmodSync(app, 0o755)
  await build(bundleOptions(join(import.meta.dirname, 'main.ts'), join(app, 'prepare.cjs')))
})
afterAll(() => rmSync(app, { recursive: true }))
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'lamina-progress-'))
  chmodSync(dir, 0o755)
})
afterEach(() => rmSync(dir, { recursive: true }))

const start = (...more: string[]): ChildProcess =>
  spawn(process.execPath, [join(app, 'prepare.cjs'), join(dir, 'progress'), ...more], {
    stdio: ['ignore', 'pipe', 'inherit'],
    uid: 65_534,
    gid: 65_534,
  })
const log = (line: string) => {
  mkdirSync(join(dir, 'progress'), { recursive: true })
  appendFileSync(join(dir, 'progress', 'log'), `${line}\n`)
}
const end = (exitCode: number, message: string) =>
  writeJson(join(dir, 'progress', 'result.json'), { exitCode, message })
const outcome = async (child: ChildProcess) => {
  const exited = new Promise((resolve) => child.once('exit', (code, signal) => resolve(code ?? signal)))
  const output = child.stdout ? await text(child.stdout) : ''
  return { output, exit: await exited }
}

describe('prepare, as nobody,', () => {
  test('shows what the agent writes, from before its start and after, and ends as the agent says', async () => {
    log('making an overlay')
    const ended = outcome(start())
    setTimeout(() => log('50 %'), 200)
    setTimeout(() => end(0, 'ready'), 300)
    expect(await ended).toEqual({ output: 'making an overlay\n50 %\nready\n', exit: 0 })
  })

  test('waits for an agent that has not written anything yet', async () => {
    const ended = outcome(start())
    setTimeout(() => {
      log('at last')
      end(3, 'it cannot be')
    }, 300)
    expect(await ended).toEqual({ output: 'at last\nit cannot be\n', exit: 3 })
  })

  test('asks for the agent while nothing was heard of it, and not after it has answered', async () => {
    const child = start('100')
    const ended = outcome(child)
    child.stdout?.once('data', () => {
      log('OverlayNoSpace: full')
      setTimeout(() => end(0, 'ready'), 400)
    })
    const { output } = await ended
    expect(output).toMatch(/^still waiting for the node agent: .*\n(still .*\n)*OverlayNoSpace: full\n/)
    expect(output).toMatch(/full\n(nothing new from the node agent: what it said last still holds\n)+ready\n$/)
  })

  test('ends when it is told to', async () => {
    const child = start()
    const ended = outcome(child)
    log('here')
    child.stdout?.once('data', () => child.kill('SIGTERM'))
    expect(await ended).toEqual({ output: 'here\n', exit: 143 })
  })
})
