import { baseVolume, releaseFinalizer, volumePrefix } from '../../kube/names.ts'
import { parseKey } from '../../kube/resource.ts'
import { claims, nodes, type Pod, pods } from '../../kube/resources.ts'
import type { Context, Result } from '../context.ts'
import { isUnreleased } from '../overlays/holders.ts'
import { lostBecause } from './lost.ts'

/** How often to ask whether the node of a pod that does not end has gone. */
const lookAgainMs = 10_000

/** Of its overlays: an image on a volume is never written, whoever has it. */
const claimsOf = ({ client }: Context, { metadata: { namespace }, spec }: Pod) =>
  Promise.all(
    (spec?.volumes ?? [])
      .flatMap(({ name, persistentVolumeClaim }) =>
        name.startsWith(volumePrefix) && name !== baseVolume ? (persistentVolumeClaim ?? []) : [],
      )
      .map(({ claimName }) => client.get(claims, { namespace, name: claimName })),
  )

/** Takes the finalizer from pods that no agent will ever release; the agents do all others. */
export const createPodReconciler =
  (context: Context) =>
  async (key: string): Promise<Result> => {
    const { caches, client, events } = context
    const pod = caches.pods.get(parseKey(key))
    if (!pod?.metadata.deletionTimestamp || !isUnreleased(pod)) return {}
    const { nodeName } = pod.spec ?? {}
    const node = nodeName ? await client.get(nodes, { namespace: '', name: nodeName }) : undefined
    const why = lostBecause(pod, node, nodeName ? await claimsOf(context, pod) : [])
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
