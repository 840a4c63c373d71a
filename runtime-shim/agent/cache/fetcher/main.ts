/**
 * Fetches one image into the cache: in a process of its own, for what that takes of
 * memory is much, and the agent's would never be as small again.
 *
 * usage: image-fetcher.cjs    with the request on standard input (./protocol.ts)
 */
import { answerRequest } from '../../apart/answer.ts'
import { bringImage } from '../bring.ts'
import { failureOf } from './failure.ts'
import { type FetcherAnswer, type FetchRequest, parseRequest } from './protocol.ts'

const fetchOne = async (
  request: FetchRequest,
  options: { signal: AbortSignal; onProgress(line: string): void },
): Promise<FetcherAnswer> => {
  try {
    return { kind: 'brought', image: await bringImage({ ...request, ...options }) }
  } catch (error) {
    const failure = failureOf(error)
    if (!failure) throw error
    return { kind: 'failed', failure }
  }
}

/** Nobody wants it any more, and what is there already is swept by the next agent: all of us end, the tools too. */
const endAtOnce = (): void => {
  process.kill(-process.pid, 'SIGKILL')
}

const main = async (): Promise<void> => {
  const ending = new AbortController()
  const { signal } = ending
  process.once('SIGTERM', () => ending.abort())
  await answerRequest((text, onProgress) => fetchOne(parseRequest(text), { signal, onProgress }), endAtOnce)
}

await main()
