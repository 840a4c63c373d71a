import type * as z from 'zod'
import { ApiError } from '../../kube/api-error.ts'
import { backoffMs } from '../../kube/backoff.ts'
import type { Metadata } from '../../kube/resource.ts'
import type { Plural } from '../paths.ts'
import type { Api } from './api.ts'
import { type Collection, createCollection } from './collection.ts'

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

const pause = (ms: number, signal: AbortSignal): Promise<void> =>
  new Promise((resolve) => {
    const timer = setTimeout(resolve, ms)
    signal.addEventListener('abort', () => {
      clearTimeout(timer)
      resolve()
    })
  })

/** Resolves when the watch has ended, for whatever reason: then it is time for another list. */
const watch = <T>(
  socket: WebSocket,
  collection: Collection<T>,
  changed: () => void,
  signal: AbortSignal,
): Promise<void> =>
  new Promise((resolve) => {
    const end = (): void => socket.close()
    signal.addEventListener('abort', end, { once: true })
    socket.onmessage = ({ data }) => {
      try {
        collection.take(JSON.parse(String(data)))
        changed()
      } catch {
        end()
      }
    }
    socket.onclose = () => {
      signal.removeEventListener('abort', end)
      resolve()
    }
  })

const wordsOf = (error: unknown): string => {
  if (!(error instanceof ApiError)) return `the console does not answer (${String(error)})`
  return error.status === 401 ? 'the token is not accepted any more: sign out, and in again' : error.words
}

/** Tells what is there, again after each change, until the signal is aborted. */
export const follow = async <T extends { metadata: Metadata }>(
  api: Pick<Api, 'list' | 'watch'>,
  { namespace, plural, schema }: Subject<T>,
  tell: (followed: Followed<T>) => void,
  signal: AbortSignal,
): Promise<void> => {
  const collection = createCollection(schema)
  let known: T[] | undefined
  for (let failures = 0; !signal.aborted; ) {
    const started = performance.now()
    try {
      const { items, resourceVersion } = await api.list(namespace, plural)
      if (signal.aborted) return
      collection.reset(items)
      const changed = (): void => {
        known = collection.objects()
        if (!signal.aborted) tell({ objects: known })
      }
      changed()
      await watch(api.watch(namespace, plural, resourceVersion), collection, changed, signal)
    } catch (error) {
      if (signal.aborted) return
      // What one may not see (any more) is not shown.
      const hasNoRight = error instanceof ApiError && error.status < 500
      if (hasNoRight) known = undefined
      tell({ objects: known, trouble: wordsOf(error) })
    }
    failures = performance.now() - started > healthyMs ? 1 : failures + 1
    await pause(backoffMs(failures, backoff, Math.random), signal)
  }
}
