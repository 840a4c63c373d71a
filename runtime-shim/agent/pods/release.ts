import { existsSync } from 'node:fs'
import { hasReason } from '../../../kube/client.ts'
import { containers, releaseFinalizer } from '../../../kube/names.ts'
import { type Pod, pods } from '../../../kube/resources.ts'
import { endPredecessors } from '../../node/containers.ts'
import { podPaths } from '../../node/layout.ts'
import type { NodeServices } from '../services.ts'
import { Trouble } from '../trouble.ts'
import type { AskDevices } from './ask-devices.ts'
import { tellDamages } from './damages.ts'
import type { FiguresReader } from './left-figures.ts'
import type { HeldMount } from './mounted.ts'
import {
  awaitsDelete,
  blockVolumesOf,
  type LeftOverlay,
  leftOverlays,
  markReleased,
  observeMounts,
  releasedSince,
} from './records.ts'
import type { OverlayReporter } from './report.ts'
import { tellUnlessRefused } from './report-refused.ts'
import { refuse, revokeTicket } from './ticket.ts'

/** What a release goes through. */
export interface Releaser extends NodeServices {
  report: OverlayReporter
}

/** What the proof goes through that nothing of a pod is mounted. */
interface Prover extends Pick<NodeServices, 'layout'> {
  askDevices: AskDevices
}

/** Its containers have ended, or are about to: nothing of it is to be mounted any more. */
export const isEnding = ({ metadata, status }: Pod): boolean =>
  metadata.deletionTimestamp !== undefined || status?.phase === 'Succeeded' || status?.phase === 'Failed'

export type Release =
  | { kind: 'released' }
  /** It was released before, or is gone. */
  | { kind: 'over' }
  /** The kernel has still mounts, or may get one. */
  | { kind: 'held'; by: Trouble }
  /** Nothing is mounted; the rest takes another moment: the runtime is about to tell in what state it left the overlays. */
  | { kind: 'settling' }

const stillMounted = (what: string): Trouble => new Trouble('OverlayStillMounted', what)

const heldBy = (mounts: readonly HeldMount[]): Trouble => {
  const names = [...new Set(mounts.map(({ what }) => what))].join(', ')
  return stillMounted(
    `${names} is still mounted: the container has not ended, or something on the node holds a file open`,
  )
}

/** Whether the kubelet says that the instance's container has ended, and its status is not that of a start to come. */
const believedEnded = ({ status }: Pod): boolean =>
  status?.containerStatuses?.find(({ name }) => name === containers.main)?.state?.terminated !== undefined

/** Who waits for a ticket keeps the kubelet from ending the pod. */
const ending = { reason: 'PodEnding', message: 'the pod is ending: nothing is mounted for it any more', final: true }

/** Nothing is mounted, and nothing will be. From "none" to the mark nothing may come between: other pods' proofs rest on it. */
const prove = async ({ layout, askDevices }: Prover, pod: Pod): Promise<Trouble | undefined> => {
  const podUID = pod.metadata.uid
  if (releasedSince(layout, podUID) !== undefined) return undefined
  const paths = podPaths(layout, podUID)
  if (existsSync(paths.dir)) refuse(paths, ending)
  if (!revokeTicket(paths)) return stillMounted('a mount is under way')
  const mountedDevices = await askDevices(blockVolumesOf(layout, podUID))
  const held = observeMounts(layout, podUID, mountedDevices)
  if (held.length > 0 && believedEnded(pod)) endPredecessors(layout, podUID, mountedDevices)
  if (held.length > 0) return heldBy(held)
  markReleased(layout, podUID)
  return undefined
}

/** `delete` follows the container's end at once; when containerd was killed, or the node restarted, it never comes. */
const deleteWithinMs = 2_000

const isSettling = ({ layout, clock }: NodeServices, podUID: string): boolean => {
  const since = releasedSince(layout, podUID)
  return since !== undefined && awaitsDelete(layout, podUID) && clock.now().getTime() - since < deleteWithinMs
}

const reportLeft = async ({ report, log }: Releaser, { metadata }: Pod, overlay: LeftOverlay): Promise<void> => {
  const { namespace, name: instance } = metadata
  const { name, uid, figures } = overlay
  const inUse = { namespace, name, uid, instance }
  await tellUnlessRefused(log, inUse, () => report(inUse, () => ({ figures, used: true })))
}

/** False when the pod has changed since it was read: it must be read again, or others' finalizers could be lost. */
const removeFinalizer = async ({ client }: NodeServices, { metadata }: Pod): Promise<boolean> => {
  const { resourceVersion, uid } = metadata
  const finalizers = metadata.finalizers.filter((finalizer) => finalizer !== releaseFinalizer)
  try {
    await client.mergePatch(pods, metadata, { metadata: { resourceVersion, uid, finalizers } })
    return true
  } catch (error) {
    if (hasReason(error, 'Conflict')) return false
    throw error
  }
}

/** Whether there is nothing left to do for an ending pod but to wait until it is gone. */
export const isReleased = ({ layout }: NodeServices, { metadata }: Pod): boolean =>
  !metadata.finalizers.includes(releaseFinalizer) && !existsSync(podPaths(layout, metadata.uid).ticket)

/**
 * Revokes the ticket, proves from the kernel that nothing of the pod is mounted,
 * tells how its overlays were left, and lets the pod go: takes its finalizer off.
 * What lies on the node goes with the pod itself: until then `exec` may need it.
 * The API server is asked for nothing until the proof is there.
 */
export const releasePod = async (
  node: Releaser & Prover & { readFigures: FiguresReader },
  pod: Pod,
): Promise<Release> => {
  const { uid: podUID } = pod.metadata
  const by = await prove(node, pod)
  if (by) return { kind: 'held', by }
  if (isSettling(node, podUID)) return { kind: 'settling' }
  const live = await node.client.get(pods, pod.metadata)
  if (live?.metadata.uid !== podUID || !live.metadata.finalizers.includes(releaseFinalizer)) return { kind: 'over' }
  await tellDamages(node, pod)
  for (const overlay of await leftOverlays(node.layout, podUID, node.readFigures)) await reportLeft(node, pod, overlay)
  return { kind: (await removeFinalizer(node, live)) ? 'released' : 'settling' }
}
