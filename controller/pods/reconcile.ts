import type { KubeClient } from '../../kube/client.ts'
import { baseVolume, releaseFinalizer, volumePrefix } from '../../kube/names.ts'
import type { Reflector } from '../../kube/reflector.ts'
import { type ObjectKey, parseKey } from '../../kube/resource.ts'
import { claims, csiDrivers, nodes, type Pod, pods, volumes } from '../../kube/resources.ts'
import type { Context, Result } from '../context.ts'
import { isUnreleased } from '../overlays/holders.ts'
import { type HeldVolume, lostBecause } from './lost.ts'

/** How often to ask whether the node of a pod that does not end has gone. */
const lookAgainMs = 10_000

interface LostContext extends Pick<Context, 'events'> {
  client: Pick<KubeClient, 'get' | 'mergePatch'>
  caches: { pods: Pick<Reflector<Pod>, 'get'> }
}

const heldVolume = async ({ client }: LostContext, key: ObjectKey): Promise<HeldVolume> => {
  const claim = await client.get(claims, key)
  const { volumeName } = claim?.spec ?? {}
  const volume = volumeName ? await client.get(volumes, { namespace: '', name: volumeName }) : undefined
  const csi = volume?.spec?.csi
  return { claim, volume, driver: csi && (await client.get(csiDrivers, { namespace: '', name: csi.driver })) }
}

/** Of its overlays: an image on a volume is never written, whoever has it. */
const heldVolumes = (context: LostContext, { metadata: { namespace }, spec }: Pod): Promise<HeldVolume[]> =>
  Promise.all(
    (spec?.volumes ?? [])
      .flatMap(({ name, persistentVolumeClaim }) =>
        name.startsWith(volumePrefix) && name !== baseVolume ? (persistentVolumeClaim ?? []) : [],
      )
      .map(({ claimName }) => heldVolume(context, { namespace, name: claimName })),
  )

/** Takes the finalizer from pods that no agent will ever release; the agents do all others. */
export const createPodReconciler =
  (context: LostContext) =>
  async (key: string): Promise<Result> => {
    const { caches, client, events } = context
    const pod = caches.pods.get(parseKey(key))
    if (!pod?.metadata.deletionTimestamp || !isUnreleased(pod)) return {}
    const { nodeName } = pod.spec ?? {}
    const node = nodeName ? await client.get(nodes, { namespace: '', name: nodeName }) : undefined
    const why = lostBecause(pod, node, nodeName && !node ? await heldVolumes(context, pod) : [])
    if (why === undefined) return { requeueAfterMs: lookAgainMs }
    const { resourceVersion, finalizers } = pod.metadata
    const rest = finalizers.filter((finalizer) => finalizer !== releaseFinalizer)
    await client.mergePatch(pods, pod.metadata, { metadata: { resourceVersion, finalizers: rest } })
    events.event(
      { apiVersion: 'v1', kind: 'Pod', metadata: pod.metadata },
      'Normal',
      'Released',
      `${why}: nothing is mounted`,
    )
    return {}
  }
