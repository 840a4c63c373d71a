import { existsSync } from 'node:fs'
import { releaseFinalizer } from '../../../kube/names.ts'
import { type Pod, pods } from '../../../kube/resources.ts'
import { type NodeLayout, podPaths } from '../../node/layout.ts'
import type { RecordedOverlay } from '../../node/ticket.ts'
import { reportOverlay } from '../report.ts'
import { Trouble } from '../trouble.ts'
import type { MountPreparer } from './mount-ready.ts'
import { forgetPod, lastFigures, type PodRecords, readRecords, stillMounted } from './records.ts'
import { revokeTicket } from './ticket.ts'

/** Its containers have ended, or are about to: nothing of it is to be mounted any more. */
export const isEnding = ({ metadata, status }: Pod): boolean =>
  metadata.deletionTimestamp !== undefined || status?.phase === 'Succeeded' || status?.phase === 'Failed'

export const isReleased = (layout: NodeLayout, { metadata }: Pod): boolean =>
  !metadata.finalizers.includes(releaseFinalizer) && !existsSync(podPaths(layout, metadata.uid).dir)

export type Release = { kind: 'released' } | { kind: 'held'; by: Trouble }

const heldBy = (mounted: readonly RecordedOverlay[]): Trouble => {
  const names = [...new Set(mounted.map(({ name }) => `"${name}"`))].join(', ')
  return new Trouble(
    'OverlayStillMounted',
    `overlay ${names} is still mounted: the container has not ended, or something holds a file open`,
  )
}

const writtenOverlays = ({ mounts }: PodRecords): RecordedOverlay[] => {
  const written = mounts.flatMap(({ overlays }) => overlays).filter(({ access }) => access === 'ReadWrite')
  return [...new Map(written.map((overlay) => [overlay.uid, overlay])).values()]
}

const removeFinalizer = async ({ client }: MountPreparer, { metadata }: Pod): Promise<void> => {
  if (!metadata.finalizers.includes(releaseFinalizer)) return
  const { resourceVersion, uid } = metadata
  const finalizers = metadata.finalizers.filter((finalizer) => finalizer !== releaseFinalizer)
  await client.mergePatch(pods, metadata, { metadata: { resourceVersion, uid, finalizers } })
}

/**
 * Revokes the ticket, proves from the kernel that nothing of the pod is mounted,
 * tells how its overlays were left, and lets the pod go (DESIGN §4, step 7).
 *
 * @param pod read live
 */
export const releasePod = async (node: MountPreparer, pod: Pod): Promise<Release> => {
  const { layout, client, clock } = node
  const { uid: podUID, namespace } = pod.metadata
  if (!revokeTicket(podPaths(layout, podUID))) {
    return { kind: 'held', by: new Trouble('OverlayStillMounted', 'a mount is under way') }
  }
  const records = readRecords(layout, podUID)
  const mounted = stillMounted(records)
  if (mounted.length > 0) return { kind: 'held', by: heldBy(mounted) }
  for (const { name, uid } of writtenOverlays(records)) {
    const figures = lastFigures(records, uid)
    if (figures) await reportOverlay(client, { namespace, name, uid }, { figures, checked: false }, clock.now())
  }
  await removeFinalizer(node, pod)
  forgetPod(layout, podUID)
  return { kind: 'released' }
}
