import type { Instance } from '../../crds/instance.ts'
import { releaseFinalizer } from '../../kube/names.ts'
import { instanceOwnerOf } from '../../kube/owner.ts'
import { instances, type Pod } from '../../kube/resources.ts'
import type { Context } from '../context.ts'
import type { Outcome } from './outcome.ts'
import { removePod } from './own-pod.ts'

/** Nothing tells when a pod of another's goes. */
const lookAgainMs = 5_000

/** Of two that had the name one after the other, the cache may still have the first. */
const isLatest = async ({ client }: Context, { metadata }: Instance): Promise<boolean> =>
  (await client.get(instances, metadata))?.metadata.uid === metadata.uid

/** Whose pod it is that has our name: one of an earlier instance of this name is let go, any other left alone. */
export const ofStranger = async (context: Context, instance: Instance, pod: Pod): Promise<Outcome> => {
  const { name, deletionTimestamp, finalizers } = pod.metadata
  const isOfEarlier = instanceOwnerOf(pod)?.name === name
  if (isOfEarlier && !deletionTimestamp && (await isLatest(context, instance))) await removePod(context, pod)
  if (isOfEarlier || deletionTimestamp || finalizers.includes(releaseFinalizer)) {
    const message = `pod ${name} of an earlier instance of this name has not ended yet`
    return { finding: { kind: 'previousPod', message }, requeueAfterMs: lookAgainMs }
  }
  const message = `a pod ${name} that is not Lamina's has the instance's name: delete it, or give the instance another name`
  return { finding: { kind: 'nameTaken', message }, requeueAfterMs: lookAgainMs }
}
