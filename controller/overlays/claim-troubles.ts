import type { KubeClient } from '../../kube/client.ts'
import type { Clock } from '../../kube/clock.ts'
import { events, type PersistentVolumeClaim } from '../../kube/resources.ts'

/** The last warning that anybody has given of a claim, in words. */
export type ClaimTroubles = (claim: Pick<PersistentVolumeClaim, 'metadata'>) => Promise<string | undefined>

/** Words of a namespace's claims, by the claim's uid. */
type Words = ReadonlyMap<string, string>

const freshMs = 5_000

const wordsIn = async (client: Pick<KubeClient, 'list'>, namespace: string): Promise<Words> => {
  const fieldSelector = 'involvedObject.kind=PersistentVolumeClaim,type=Warning'
  const warnings = await client.list(events, { namespace, fieldSelector })
  const inOrder = warnings.toSorted((a, b) => (String(a.lastTimestamp) < String(b.lastTimestamp) ? -1 : 1))
  return new Map(inOrder.map(({ involvedObject: { uid = '' }, message = '' }) => [uid, message]))
}

/**
 * Warnings of claims, as Kubernetes' Events have them. For each list the API
 * server reads all Events of the namespace: all claims of one share it for five seconds.
 */
export const createClaimTroubles = ({
  client,
  clock,
}: {
  client: Pick<KubeClient, 'list'>
  clock: Pick<Clock, 'setTimeout'>
}): ClaimTroubles => {
  const fresh = new Map<string, Promise<Words>>()
  const look = (namespace: string): Promise<Words> => {
    const words = wordsIn(client, namespace)
    const forget = (): void => {
      if (fresh.get(namespace) === words) fresh.delete(namespace)
    }
    fresh.set(namespace, words)
    clock.setTimeout(forget, freshMs)
    words.catch(forget)
    return words
  }
  return async ({ metadata: { namespace, uid } }) => (await (fresh.get(namespace) ?? look(namespace))).get(uid)
}
