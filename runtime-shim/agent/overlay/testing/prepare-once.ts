/**
 * One preparation as an agent has it done, to be killed, or ended by SIGTERM as a
 * pod's end does it. Says "begun" as soon as the programs are loaded.
 *
 * usage: prepare-once.ts PREPARATION    (JSON, without onProgress)
 */
import { writeSync } from 'node:fs'
import { join } from 'node:path'
import { prepareApart } from '../apart.ts'
import type { Preparation } from '../preparation.ts'

const main = async (): Promise<void> => {
  const preparation: Preparation = { ...JSON.parse(process.argv[2] ?? ''), onProgress: () => {} }
  const ending = new AbortController()
  process.once('SIGTERM', () => ending.abort())
  writeSync(1, 'begun\n')
  await prepareApart(preparation, ending.signal, join(import.meta.dirname, '../preparer/main.ts'))
}

await main()
