import { setTimeout as sleep } from 'node:timers/promises'
import { hasReason, type KubeClient } from '../../kube/client.ts'
import type { KubeObject, ObjectKey, Resource } from '../../kube/resource.ts'

const watchSeconds = 300
const pauseMs = 1_000

/** What no new try mends; an API server that begins does not know the kinds at once. */
const isFinal = (error: unknown, hasSeen: boolean): boolean =>
  hasReason(error, 'Unauthorized', 'Forbidden') || (!hasSeen && hasReason(error, 'NotFound', 'MethodNotAllowed'))

/**
 * One object as it is, and then as it changes, without end; undefined while it is not there.
 *
 * @throws the signal's reason when that is aborted; ApiError for what no new try mends
 */
async function* follow<T extends KubeObject>(
  client: Pick<KubeClient, 'listPage' | 'watch'>,
  resource: Resource<T>,
  { namespace, name }: ObjectKey,
  signal: AbortSignal,
): AsyncGenerator<T | undefined, never> {
  const which = { namespace, fieldSelector: `metadata.name=${name}` }
  let hasSeen = false
  for (;;) {
    try {
      signal.throwIfAborted()
      const { items, resourceVersion } = await client.listPage(resource, which)
      hasSeen = true
      const [item] = items
      yield item === undefined ? undefined : resource.parse(item)
      const watch = client.watch(resource, { ...which, resourceVersion, timeoutSeconds: watchSeconds }, signal)
      for await (const { type, object } of watch) {
        if (type === 'BOOKMARK') continue
        yield type === 'DELETED' ? undefined : resource.parse(object)
      }
    } catch (error) {
      signal.throwIfAborted()
      if (isFinal(error, hasSeen)) throw error
      if (!hasReason(error, 'Expired', 'Gone')) await sleep(pauseMs, undefined, { signal }).catch(() => {})
    }
  }
}

/**
 * Follows an object until `judge` has an answer.
 *
 * @throws what `judge` throws, too
 */
export const followUntil = async <T extends KubeObject, Answer>(
  client: Pick<KubeClient, 'listPage' | 'watch'>,
  resource: Resource<T>,
  key: ObjectKey,
  { signal, judge }: { signal: AbortSignal; judge(object: T | undefined): Answer | undefined },
): Promise<Answer> => {
  const stop = new AbortController()
  for await (const object of follow(client, resource, key, AbortSignal.any([signal, stop.signal]))) {
    const answer = judge(object)
    if (answer !== undefined) {
      stop.abort()
      return answer
    }
  }
  throw new Error('the watch has ended')
}
