import { spawn } from 'node:child_process'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { describe, expect, test } from 'vitest'

/** A process that says what it is told, and takes its time to end. */
const start = () => {
  const program = `
    import { stopSignal } from ${JSON.stringify(join(import.meta.dirname, 'stop.ts'))}
    const signal = stopSignal(process)
    signal.addEventListener('abort', () => process.stdout.write('stopping'))
    process.stderr.write('up')
    setTimeout(() => process.exit(7), 20_000)
  `
  const child = spawn(process.execPath, ['--input-type=module-typescript', '-e', program])
  const ended = new Promise<number | null>((resolve) => {
    child.once('close', resolve)
  })
  return { child, ended, output: text(child.stdout) }
}

describe('the stop signal', () => {
  test.each(['SIGTERM', 'SIGINT'] as const)('%s aborts; the second ends the process at once', async (name) => {
    const { child, ended, output } = start()
    child.stderr.once('data', () => child.kill(name))
    child.stdout.once('data', () => child.kill(name))
    expect(await ended).toBe(name === 'SIGTERM' ? 143 : 130)
    expect(await output).toBe('stopping')
  })
})
