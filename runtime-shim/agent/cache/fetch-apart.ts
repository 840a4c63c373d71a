import { programBeside, runApart } from '../apart/run.ts'
import { errorOf } from './fetcher/failure.ts'
import { type FetchRequest, fetcherAnswerSchema } from './fetcher/protocol.ts'
import type { FetchImage } from './make.ts'

/** The bundle of {@link ./fetcher/main.ts}. */
const fetcherProgram = (): string => programBeside('image-fetcher.cjs')

/**
 * {@link ./bring.ts}, by another process, until the signal of the agent's end is
 * aborted, or the fetch's own.
 */
export const createFetchApart =
  (agentEnd: AbortSignal, program = fetcherProgram(), env = process.env): FetchImage =>
  async ({ onProgress, signal: ownEnd, ...request }) => {
    const signal = AbortSignal.any([agentEnd, ownEnd])
    const answer = await runApart({
      ...{ name: 'the image fetcher', program, env, signal, onProgress },
      ...{ request: request satisfies FetchRequest, answer: fetcherAnswerSchema },
    })
    signal.throwIfAborted()
    if (answer?.kind === 'brought') return answer.image
    throw answer ? errorOf(answer.failure) : new Error('the image fetcher gave no answer')
  }
