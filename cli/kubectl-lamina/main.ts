import { basename } from 'node:path'
import { pipeline } from 'node:stream/promises'
import { CliError } from '../shared/cli-error.ts'
import { printable } from '../shared/printable.ts'
import { createStatusLine } from '../shared/status-line.ts'
import type { Connection } from './connection.ts'
import type { CommandContext } from './context.ts'
import { createInterrupts } from './interrupts.ts'
import { runProgram } from './program.ts'
import { oldestNode } from './version.ts'

const { stdin, stdout, stderr, argv } = process

const status = createStatusLine({
  write: (text) => void stderr.write(text),
  isTerminal: stderr.isTTY === true,
  columns: () => stderr.columns ?? 80,
})

const interrupts = createInterrupts(process)

const context: Omit<CommandContext, 'connect'> = {
  print: (text) => {
    status.clear()
    stdout.write(text)
  },
  copy: async (stream) => {
    const { signal } = interrupts
    await pipeline(stream, stdout, { end: false, signal }).catch((error: unknown) => {
      signal.throwIfAborted()
      throw error
    })
  },
  status,
  interrupts,
}

let connection: Connection | undefined
let brokenOutput: CliError | undefined

/** What is under way ends, and is cleaned up; without a word of `head` and others who have read enough. */
const giveUpOutput = (error: Error): void => {
  const hasReadEnough = 'code' in error && error.code === 'EPIPE'
  brokenOutput ??= hasReadEnough
    ? new CliError('', { exitCode: 0 })
    : new CliError(`standard output takes no more: ${error.message}`, { cause: error })
  interrupts.abandon(brokenOutput)
}

/** Resolves once what was written has got through, or will not. */
const flushed = (stream: NodeJS.WritableStream): Promise<void> =>
  new Promise((resolve) => void stream.write('', () => resolve()))

const tellFailure = async (error: unknown): Promise<number> => {
  const { failureOf } = await import('./failure.ts')
  const { message, exitCode } = failureOf(error, connection?.place)
  status.clear()
  if (message !== '') stderr.write(`error: ${printable(message)}\n`)
  return exitCode
}

const assertNode = (): void => {
  if (Number.parseInt(process.versions.node, 10) >= oldestNode) return
  stderr.write(`error: kubectl lamina needs Node ${oldestNode} or newer; this is ${process.versions.node}\n`)
  process.exit(1)
}

const main = async (): Promise<void> => {
  assertNode()
  stdout.on('error', giveUpOutput)
  // A terminal that is gone is no reason to leave things behind.
  stderr.on('error', () => {})
  stdin.on('error', () => {})
  const isCompletion = basename(argv[1] ?? '').startsWith('kubectl_complete-')
  const words = isCompletion ? ['__complete', '--', ...argv.slice(2)] : argv.slice(2)
  const run = async (): Promise<number> => {
    const exitCode = await runProgram(words, context, async (flags) => {
      const { connect } = await import('./connection.ts')
      connection = connect(flags, status.say)
      return connection
    })
    await flushed(stdout)
    if (brokenOutput) throw brokenOutput
    return exitCode
  }
  const exitCode = await run().catch(tellFailure)
  status.clear()
  await Promise.all([stdout, stderr].map(flushed))
  // Nothing that is still open may keep us.
  process.exit(exitCode)
}

await main()
