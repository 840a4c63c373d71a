import type { Instance } from '../../crds/instance.ts'
import type { Attachment, PersistentOverlay } from '../../crds/persistent-overlay.ts'
import { releaseFinalizer } from '../../kube/names.ts'
import { instanceOwnerOf } from '../../kube/owner.ts'
import type { Pod } from '../../kube/resources.ts'
import { isAtRest } from '../instances/lifecycle/at-rest.ts'
import { claimNameOf } from './claim.ts'

/** Keeps its overlays from others until the node has proved them free. */
export const isUnreleased = ({ metadata }: Pod): boolean => metadata.finalizers.includes(releaseFinalizer)

const usesClaimOf = ({ spec }: Pod, overlay: PersistentOverlay): boolean =>
  (spec?.volumes ?? []).some(({ persistentVolumeClaim }) => persistentVolumeClaim?.claimName === claimNameOf(overlay))

/**
 * Whether the pod may have mounted this overlay of those that lie in one claim.
 * Its own grant tells; without one that is known, any.
 */
const mayMean = (
  pod: Pod,
  instance: Instance | undefined,
  { metadata: { name }, spec }: PersistentOverlay,
): boolean => {
  if (spec.storage.existingClaimName === undefined) return true
  const { status } = instance ?? {}
  const granted = status?.pod?.uid === pod.metadata.uid ? status.overlays : undefined
  return granted === undefined || granted.some((use) => use.name === name)
}

/** Who holds what the pod mounts: its Instance, or the pod itself when it was orphaned. */
const holderOf = (pod: Pod): string => instanceOwnerOf(pod)?.uid ?? pod.metadata.uid

/**
 * Whether the pod may still have mounted what `instanceUID` holds of the overlay.
 * One without an owner (`kubectl delete --cascade=orphan`) may be anybody's.
 *
 * @param holder.instance the one that has the pod's name now, if there is one
 */
export const mayHold = (
  pod: Pod | undefined,
  { instanceUID, instance }: { instanceUID: string; instance: Instance | undefined },
  overlay: PersistentOverlay,
): boolean => {
  if (!pod || !isUnreleased(pod) || !usesClaimOf(pod, overlay)) return false
  if (instanceOwnerOf(pod) === undefined) return true
  return holderOf(pod) === instanceUID && mayMean(pod, instance, overlay)
}

/**
 * Attachments that the status lacks (lost in a restore, or of an overlay made
 * again) although pods still hold the data. How they hold it is known from their
 * instance only; when in doubt, as a writer.
 */
export const rebuiltAttachments = (
  overlay: PersistentOverlay,
  pods: readonly Pod[],
  instances: readonly Instance[],
): Attachment[] => {
  const { name } = overlay.metadata
  const known = (overlay.status.attachments ?? []).map(({ instanceUID }) => instanceUID)
  return pods
    .filter((pod) => isUnreleased(pod) && usesClaimOf(pod, overlay))
    .map((pod) => ({ pod, instance: instances.find(({ metadata }) => metadata.uid === holderOf(pod)) }))
    .filter(({ pod, instance }) => mayMean(pod, instance, overlay))
    .filter(({ pod, instance }) => !known.some((instanceUID) => mayHold(pod, { instanceUID, instance }, overlay)))
    .map(
      ({ pod, instance }): Attachment => ({
        instanceUID: holderOf(pod),
        instanceName: pod.metadata.name,
        access: instance?.status.overlays?.find((use) => use.name === name)?.access ?? 'ReadWrite',
        attachTime: pod.metadata.creationTimestamp ?? '1970-01-01T00:00:00Z',
      }),
    )
}

/** Whether the instance as it is now asks to keep this attachment. */
export const isWanted = (attachment: Attachment, overlayName: string, instance: Instance | undefined): boolean =>
  instance !== undefined &&
  instance.metadata.uid === attachment.instanceUID &&
  instance.metadata.deletionTimestamp === undefined &&
  instance.spec.state === 'Running' &&
  !isAtRest(instance) &&
  instance.spec.overlays.some(({ name, access }) => name === overlayName && access === attachment.access)
