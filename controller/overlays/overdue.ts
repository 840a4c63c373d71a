import type { Instance } from '../../crds/instance.ts'
import type { Attachment, PersistentOverlay } from '../../crds/persistent-overlay.ts'
import type { KubeClient } from '../../kube/client.ts'
import type { Clock } from '../../kube/clock.ts'
import type { Reflector } from '../../kube/reflector.ts'
import { nodes, type Pod } from '../../kube/resources.ts'
import { keptBecause, releaseWithinMs } from '../pods/lost.ts'
import { mayHold } from './holders.ts'

/** A condition is for reading: beyond these only their number is told. */
const mostTold = 3

interface Lookups {
  caches: { pods: Pick<Reflector<Pod>, 'get'>; instances: Pick<Reflector<Instance>, 'get'> }
}

/** Pods that are being deleted and may still have the overlay mounted. */
export const endingHolders = (
  { caches }: Lookups,
  overlay: PersistentOverlay,
  attachments: readonly Attachment[],
): Pod[] =>
  attachments.flatMap(({ instanceName, instanceUID }) => {
    const key = { namespace: overlay.metadata.namespace, name: instanceName }
    const pod = caches.pods.get(key)
    const holds = mayHold(pod, { instanceUID, instance: caches.instances.get(key) }, overlay)
    return pod?.metadata.deletionTimestamp && holds ? [pod] : []
  })

/** Of holders that should have ended and are not released: since when, what keeps them, and what frees the overlay. */
export const overdueOf = async (
  context: Lookups & { client: Pick<KubeClient, 'get'>; clock: Pick<Clock, 'now'> },
  overlay: PersistentOverlay,
  attachments: readonly Attachment[],
): Promise<string[]> => {
  const now = context.clock.now().getTime()
  const overdue = endingHolders(context, overlay, attachments).filter(
    ({ metadata: { deletionTimestamp = '' } }) => now - Date.parse(deletionTimestamp) >= releaseWithinMs,
  )
  const told = await Promise.all(
    overdue.slice(0, mostTold).map(async (pod) => {
      const { nodeName } = pod.spec ?? {}
      const node = nodeName ? await context.client.get(nodes, { namespace: '', name: nodeName }) : undefined
      const { name, deletionTimestamp } = pod.metadata
      return `pod ${name} should have ended at ${deletionTimestamp}: ${keptBecause(pod, node)}`
    }),
  )
  return overdue.length > mostTold ? [...told, `and ${overdue.length - mostTold} more`] : told
}
