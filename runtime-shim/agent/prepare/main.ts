/**
 * The init container `prepare`: shows what the node's agent does to make the
 * instance's image and overlay ready, and ends when that is done. It does
 * nothing itself, so it works as any user under pod security `restricted`.
 *
 * usage: prepare.cjs [FOLDER OF THE PROGRESS FILES [MILLISECONDS OF SILENCE TO SPEAK AFTER]]
 */
import { openSync, readFileSync, readSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { progressMountPath } from '../../../kube/names.ts'
import { hasCode } from '../../mount/error-code.ts'
import { type PrepareResult, prepareResultSchema } from '../../node/ticket.ts'

const everyMs = 30
const defaultRemindMs = 20_000

const silence = {
  unheard: 'still waiting for the node agent: is it running on this node? Its log tells more',
  heard: 'nothing new from the node agent: what it said last still holds',
} as const

/** Copies what has been added to the log since the last call; says whether there was anything. */
const createTail = (path: string): (() => boolean) => {
  const chunk = Buffer.alloc(65_536)
  let fd: number | undefined
  return () => {
    try {
      fd ??= openSync(path, 'r')
    } catch (error) {
      if (hasCode(error, 'ENOENT')) return false
      throw error
    }
    const length = readSync(fd, chunk, 0, chunk.length, null)
    if (length > 0) writeSync(1, chunk, 0, length)
    return length > 0
  }
}

const readResult = (path: string): PrepareResult | undefined => {
  try {
    return prepareResultSchema.parse(JSON.parse(readFileSync(path, 'utf8')))
  } catch (error) {
    if (hasCode(error, 'ENOENT')) return undefined
    throw error
  }
}

/** Follows the agent's work to its end, and tells how it ended. */
const follow = async (dir: string, remindMs: number): Promise<PrepareResult> => {
  const tail = createTail(join(dir, 'log'))
  let lastWord = performance.now()
  let agent: keyof typeof silence = 'unheard'
  for (;;) {
    // Before the log: what is written before the result is shown before the end.
    const result = readResult(join(dir, 'result.json'))
    while (tail()) {
      lastWord = performance.now()
      agent = 'heard'
    }
    if (result) return result
    if (performance.now() - lastWord > remindMs) {
      writeSync(1, `${silence[agent]}\n`)
      lastWord = performance.now()
    }
    await sleep(everyMs)
  }
}

const main = async (): Promise<void> => {
  // As process 1 of its container it must ask for the signal.
  process.on('SIGTERM', () => process.exit(143))
  const [, , dir = progressMountPath, remindMs = defaultRemindMs] = process.argv
  const { exitCode, message } = await follow(dir, Number(remindMs))
  writeSync(1, `${message}\n`)
  process.exitCode = exitCode
}

await main()
