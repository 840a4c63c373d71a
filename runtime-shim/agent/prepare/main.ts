/**
 * The init container `prepare`: shows what the node's agent does to make the
 * instance's image and overlay ready, and ends when that is done. It does
 * nothing itself, so it works as any user under pod security `restricted`.
 */
import { openSync, readFileSync, readSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { progressMountPath } from '../../../kube/names.ts'
import { hasCode } from '../../mount/error-code.ts'
import { prepareResultSchema } from '../../node/ticket.ts'

const everyMs = 30
const remindMs = 20_000

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

const readResult = (path: string) => {
  try {
    return prepareResultSchema.parse(JSON.parse(readFileSync(path, 'utf8')))
  } catch (error) {
    if (hasCode(error, 'ENOENT')) return undefined
    throw error
  }
}

const main = async (): Promise<void> => {
  const tail = createTail(join(progressMountPath, 'log'))
  let lastWord = performance.now()
  for (;;) {
    const result = readResult(join(progressMountPath, 'result.json'))
    while (tail()) lastWord = performance.now()
    if (result) {
      writeSync(1, `${result.message}\n`)
      process.exitCode = result.exitCode
      return
    }
    if (performance.now() - lastWord > remindMs) {
      writeSync(1, 'waiting for the node agent (is it running on this node? its log tells more)\n')
      lastWord = performance.now()
    }
    await sleep(everyMs)
  }
}

main().catch((error: unknown) => {
  writeSync(2, `${String(error)}\n`)
  process.exitCode = 1
})
process.on('SIGTERM', () => process.exit(143))
