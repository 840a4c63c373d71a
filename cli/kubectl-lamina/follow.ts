import * as z from 'zod'
import { hasReason, type KubeClient, listAll, parseObject, type Selection, type WatchEvent } from '../../kube/client.ts'
import { type Clock, pause, systemClock } from '../../kube/clock.ts'
import type { KubeObject, ObjectKey, Resource } from '../../kube/resource.ts'

const watchSeconds = 300
const pauseMs = 1_000
/** An API server that does not come back within so long is told. */
const patienceMs = 60_000

type Watching = Pick<KubeClient, 'listPage' | 'watch'>
type Timing = Pick<Clock, 'monotonicMs' | 'setTimeout' | 'now'>

/** What no new try mends. An API server that has just begun does not know our kinds at once: NotFound is none of these. */
const isFinal = (error: unknown): boolean =>
  error instanceof z.ZodError || hasReason(error, 'Unauthorized', 'Forbidden')

/** What is there, in full; or what has changed since. */
export type Look =
  | { kind: 'all'; items: unknown[] }
  | { kind: 'change'; type: Exclude<WatchEvent['type'], 'BOOKMARK'>; object: unknown }

/**
 * Objects as they are, and then as they change, without end. From time to time all are told again.
 *
 * @throws the signal's reason when that is aborted; what the first look fails of; what no new try mends
 */
export async function* looks(
  client: Watching,
  resource: Resource<KubeObject>,
  selection: Selection,
  { signal, clock = systemClock }: { signal: AbortSignal; clock?: Timing },
): AsyncGenerator<Look, never> {
  let hasSeen = false
  let failingSinceMs: number | undefined
  for (;;) {
    const begunMs = clock.monotonicMs()
    try {
      signal.throwIfAborted()
      const { items, resourceVersion } = await listAll(client, resource, selection)
      hasSeen = true
      failingSinceMs = undefined
      yield { kind: 'all', items }
      const watch = client.watch(resource, { ...selection, resourceVersion, timeoutSeconds: watchSeconds }, signal)
      for await (const { type, object } of watch) if (type !== 'BOOKMARK') yield { kind: 'change', type, object }
      // Something on the way may let no watch through.
      if (clock.monotonicMs() - begunMs < pauseMs) await pause(clock, pauseMs, signal)
    } catch (error) {
      signal.throwIfAborted()
      failingSinceMs ??= clock.monotonicMs()
      if (!hasSeen || isFinal(error) || clock.monotonicMs() - failingSinceMs > patienceMs) throw error
      if (!hasReason(error, 'Expired', 'Gone')) await pause(clock, pauseMs, signal)
    }
  }
}

const objectIn = (look: Look): unknown => {
  if (look.kind === 'all') return look.items[0]
  return look.type === 'DELETED' ? undefined : look.object
}

/**
 * Follows an object until `judge` has an answer.
 *
 * @throws what {@link looks} and `judge` throw
 */
export const followUntil = async <T extends KubeObject, Answer>(
  client: Watching,
  resource: Resource<T>,
  key: ObjectKey,
  { signal, judge, clock }: { signal: AbortSignal; judge(object: T | undefined): Answer | undefined; clock?: Timing },
): Promise<Answer> => {
  const stop = new AbortController()
  const both = AbortSignal.any([signal, stop.signal])
  const selection = { namespace: key.namespace, fieldSelector: `metadata.name=${key.name}` }
  for await (const look of looks(client, resource, selection, { signal: both, ...(clock ? { clock } : {}) })) {
    const object = objectIn(look)
    const answer = judge(object === undefined ? undefined : parseObject(resource, object))
    if (answer !== undefined) {
      stop.abort()
      return answer
    }
  }
  throw new Error('the watch has ended')
}
