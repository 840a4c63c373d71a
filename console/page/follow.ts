import type * as z from 'zod'
import { ApiError } from '../../kube/api-error.ts'
import { backoffMs } from '../../kube/backoff.ts'
import { type Clock, pause, systemClock } from '../../kube/clock.ts'
import type { Metadata } from '../../kube/resource.ts'
import { type Plural, watchSeconds } from '../paths.ts'
import type { Api } from './api.ts'
import { createCollection } from './collection.ts'

export interface Followed<T> {
  /** Undefined before the first list. */
  objects?: T[] | undefined
  /** Why it is not up to date, in words. */
  trouble?: string | undefined
}

export interface Subject<T> {
  namespace: string
  plural: Plural
  schema: z.ZodType<T>
}

const backoff = { baseMs: 500, capMs: 30_000 }

/** A watch that lasted so long was no failure. */
const healthyMs = 10_000

/** A watch that the server has not ended by then is cut off on the way, and nobody has told. */
const overdueMs = (watchSeconds + 30) * 1000

const wordsOf = (error: unknown): string => {
  if (!(error instanceof ApiError)) return `the console does not answer (${String(error)})`
  return error.status === 401 ? 'the token is not accepted any more: sign out, and in again' : error.words
}

/** What one may not see (any more) is not shown. */
const isHidden = (error: unknown): boolean => error instanceof ApiError && [401, 403, 404].includes(error.status)

/** Tells what is there, again after each change, until the signal is aborted. */
export const follow = async <T extends { metadata: Metadata }>(
  api: Pick<Api, 'list' | 'watch'>,
  { namespace, plural, schema }: Subject<T>,
  tell: (followed: Followed<T>) => void,
  signal: AbortSignal,
  clock: Clock = systemClock,
): Promise<void> => {
  const collection = createCollection(schema)
  let known: T[] | undefined
  for (let failures = 0; !signal.aborted; ) {
    const started = clock.monotonicMs()
    try {
      const { items, resourceVersion } = await api.list(namespace, plural)
      if (signal.aborted) return
      collection.reset(items)
      const changed = (): void => {
        known = collection.objects()
        if (!signal.aborted) tell({ objects: known })
      }
      changed()
      const heard = (event: unknown): void => {
        collection.take(event)
        changed()
      }
      const overdue = new AbortController()
      const cancel = clock.setTimeout(() => overdue.abort(), overdueMs)
      const ends = AbortSignal.any([signal, overdue.signal])
      await api.watch({ namespace, plural, resourceVersion }, heard, ends).finally(cancel)
    } catch (error) {
      if (signal.aborted) return
      if (isHidden(error)) known = undefined
      tell({ objects: known, trouble: wordsOf(error) })
    }
    failures = clock.monotonicMs() - started > healthyMs ? 1 : failures + 1
    await pause(clock, backoffMs(failures, backoff, Math.random), signal)
  }
}
