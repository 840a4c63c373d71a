/**
 * One fetch as an agent has it done, to be killed, or ended by SIGTERM.
 *
 * usage: fetch-once.ts REQUEST    (JSON, as the fetcher takes it)
 */
import { join } from 'node:path'
import { createFetchApart } from '../fetch-apart.ts'
import { parseRequest } from '../fetcher/protocol.ts'

const main = async (): Promise<void> => {
  const ending = new AbortController()
  const { signal } = ending
  process.once('SIGTERM', () => ending.abort())
  const fetch = createFetchApart(signal, join(import.meta.dirname, '../fetcher/main.ts'))
  await fetch({ ...parseRequest(process.argv[2] ?? ''), signal, onProgress: () => {} }).catch(() => {})
}

await main()
