#!/usr/bin/env node
import { basename } from 'node:path'
import { pipeline } from 'node:stream/promises'
import { createStatusLine } from '../shared/status-line.ts'
import type { Connection } from './connection.ts'
import type { CommandContext } from './context.ts'
import { createInterrupts } from './interrupts.ts'
import { runProgram } from './program.ts'
import { oldestNode } from './version.ts'

const { stdout, stderr, argv } = process

const status = createStatusLine({
  write: (text) => void stderr.write(text),
  isTerminal: stderr.isTTY === true,
  columns: () => stderr.columns ?? 80,
})

const interrupts = createInterrupts(process)

const context: Omit<CommandContext, 'connect'> = {
  print: (text) => void stdout.write(text),
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

/** Without a word of `head` and others who have read enough. */
const endQuietly = (error: Error): void => process.exit('code' in error && error.code === 'EPIPE' ? 0 : 1)

const tellFailure = async (error: unknown): Promise<number> => {
  const { failureOf } = await import('./failure.ts')
  const { message, exitCode } = failureOf(error, connection?.server)
  status.clear()
  if (message !== '') stderr.write(`error: ${message}\n`)
  return exitCode
}

const assertNode = (): void => {
  if (Number.parseInt(process.versions.node, 10) >= oldestNode) return
  stderr.write(`error: kubectl lamina needs Node ${oldestNode} or newer; this is ${process.versions.node}\n`)
  process.exit(1)
}

const main = async (): Promise<void> => {
  assertNode()
  stdout.on('error', endQuietly)
  // A terminal that is gone is no reason to leave things behind.
  stderr.on('error', () => {})
  const isCompletion = basename(argv[1] ?? '').startsWith('kubectl_complete-')
  const words = isCompletion ? ['__complete', '--', ...argv.slice(2)] : argv.slice(2)
  const exitCode = await runProgram(words, context, async (flags) => {
    const { connect } = await import('./connection.ts')
    connection = connect(flags)
    return connection
  }).catch(tellFailure)
  status.clear()
  // Once what was written has got through: nothing that is still open may keep us.
  stdout.write('', () => process.exit(exitCode))
}

await main()
