import * as z from 'zod'
import { hasReason, type KubeClient } from '../../kube/client.ts'
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

/**
 * One object as it is, and then as it changes, without end; undefined while it is not there.
 *
 * @throws the signal's reason when that is aborted; what the first look fails of; what no new try mends
 */
async function* follow<T extends KubeObject>(
  client: Watching,
  resource: Resource<T>,
  { namespace, name }: ObjectKey,
  { signal, clock }: { signal: AbortSignal; clock: Timing },
): AsyncGenerator<T | undefined, never> {
  const which = { namespace, fieldSelector: `metadata.name=${name}` }
  let hasSeen = false
  let failingSinceMs: number | undefined
  for (;;) {
    try {
      signal.throwIfAborted()
      const { items, resourceVersion } = await client.listPage(resource, which)
      hasSeen = true
      failingSinceMs = undefined
      const [item] = items
      yield item === undefined ? undefined : resource.parse(item)
      const watch = client.watch(resource, { ...which, resourceVersion, timeoutSeconds: watchSeconds }, signal)
      for await (const { type, object } of watch) {
        if (type === 'BOOKMARK') continue
        yield type === 'DELETED' ? undefined : resource.parse(object)
      }
    } catch (error) {
      signal.throwIfAborted()
      failingSinceMs ??= clock.monotonicMs()
      if (!hasSeen || isFinal(error) || clock.monotonicMs() - failingSinceMs > patienceMs) throw error
      if (!hasReason(error, 'Expired', 'Gone')) await pause(clock, pauseMs, signal)
    }
  }
}

/**
 * Follows an object until `judge` has an answer.
 *
 * @throws what {@link follow} and `judge` throw
 */
export const followUntil = async <T extends KubeObject, Answer>(
  client: Watching,
  resource: Resource<T>,
  key: ObjectKey,
  {
    signal,
    judge,
    clock = systemClock,
  }: { signal: AbortSignal; judge(object: T | undefined): Answer | undefined; clock?: Timing },
): Promise<Answer> => {
  const stop = new AbortController()
  const both = AbortSignal.any([signal, stop.signal])
  for await (const object of follow(client, resource, key, { signal: both, clock })) {
    const answer = judge(object)
    if (answer !== undefined) {
      stop.abort()
      return answer
    }
  }
  throw new Error('the watch has ended')
}
