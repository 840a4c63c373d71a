import type { Attachment, PersistentOverlay } from '../../crds/persistent-overlay.ts'
import { annotations } from '../../kube/names.ts'
import { type Pod, pods } from '../../kube/resources.ts'
import type { Context } from '../context.ts'
import { isGrowing } from './claim.ts'
import { mustGrow } from './growth.ts'
import type { ClaimFinding } from './observe-claim.ts'

/** The size to ask a writer's node for; undefined where there is nothing to ask, or it is asked already. */
export const growthToAsk = (overlay: PersistentOverlay, finding: ClaimFinding, pod: Pod): string | undefined => {
  const isVolumeGrowing = 'claim' in finding && finding.claim !== undefined && isGrowing(finding.claim)
  if (isVolumeGrowing || !mustGrow(overlay)) return undefined
  const { size } = overlay.spec
  return pod.metadata.annotations[annotations.growTo] === size ? undefined : size
}

/**
 * Has the node that has the overlay mounted look at its size now: by itself it
 * reads the spec every five minutes, and whoever asked for more room would be told
 * so late that it takes a restart.
 */
export const askForGrowth = async (
  { client, caches }: Pick<Context, 'client' | 'caches'>,
  overlay: PersistentOverlay,
  { finding, attachments }: { finding: ClaimFinding; attachments: readonly Attachment[] },
): Promise<void> => {
  const { namespace } = overlay.metadata
  const writer = attachments.find(({ access }) => access === 'ReadWrite')
  const pod = writer && caches.pods.get({ namespace, name: writer.instanceName })
  const size = pod && growthToAsk(overlay, finding, pod)
  if (!pod || size === undefined) return
  const { uid, resourceVersion } = pod.metadata
  const patch = { metadata: { uid, resourceVersion, annotations: { [annotations.growTo]: size } } }
  const patched = await client.mergePatch(pods, pod.metadata, patch)
  if (patched) caches.pods.note(patched)
}
