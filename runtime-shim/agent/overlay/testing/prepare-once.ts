/**
 * One preparation in a process of its own, to be killed. Says "begun" as soon as
 * the programs are loaded.
 *
 * usage: prepare-once.ts PREPARATION    (JSON, without onProgress)
 */
import { writeSync } from 'node:fs'
import type { Preparation } from '../preparation.ts'
import { prepareOverlay } from '../prepare.ts'

const main = async (): Promise<void> => {
  const preparation: Preparation = { ...JSON.parse(process.argv[2] ?? ''), onProgress: () => {} }
  writeSync(1, 'begun\n')
  await prepareOverlay(preparation)
}

await main()
