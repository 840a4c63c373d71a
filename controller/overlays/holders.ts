import type { Instance } from '../../crds/instance.ts'
import type { Attachment, PersistentOverlay } from '../../crds/persistent-overlay.ts'
import { claimName, releaseFinalizer } from '../../kube/names.ts'
import { instanceOwnerOf } from '../../kube/owner.ts'
import type { Pod } from '../../kube/resources.ts'
import { isFinished } from '../instances/finished.ts'

/** Keeps its overlays from others until the node has proved them free. */
export const isUnreleased = ({ metadata }: Pod): boolean => metadata.finalizers.includes(releaseFinalizer)

const usesClaim = ({ spec }: Pod, claim: string): boolean =>
  (spec?.volumes ?? []).some(({ persistentVolumeClaim }) => persistentVolumeClaim?.claimName === claim)

/** Who holds what the pod mounts: its Instance, or the pod itself when it was orphaned. */
const holderOf = (pod: Pod): string => instanceOwnerOf(pod)?.uid ?? pod.metadata.uid

/**
 * Whether the pod may still have mounted what `instanceUID` holds of the overlay.
 * One without an owner (`kubectl delete --cascade=orphan`) may be anybody's.
 */
export const mayHold = (pod: Pod | undefined, instanceUID: string, overlayName: string): boolean => {
  if (!pod || !isUnreleased(pod)) return false
  const isOrphan = instanceOwnerOf(pod) === undefined && usesClaim(pod, claimName(overlayName))
  return isOrphan || holderOf(pod) === instanceUID
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
    .filter((pod) => isUnreleased(pod) && usesClaim(pod, claimName(name)))
    .filter((pod) => !known.some((uid) => mayHold(pod, uid, name)))
    .map((pod): Attachment => {
      const instanceUID = holderOf(pod)
      const instance = instances.find(({ metadata }) => metadata.uid === instanceUID)
      return {
        instanceUID,
        instanceName: pod.metadata.name,
        access: instance?.status.overlays?.find((use) => use.name === name)?.access ?? 'ReadWrite',
        attachTime: pod.metadata.creationTimestamp ?? '1970-01-01T00:00:00Z',
      }
    })
}

/** Whether the instance as it is now asks to keep this attachment. */
export const isWanted = (attachment: Attachment, overlayName: string, instance: Instance | undefined): boolean =>
  instance !== undefined &&
  instance.metadata.uid === attachment.instanceUID &&
  instance.metadata.deletionTimestamp === undefined &&
  instance.spec.state === 'Running' &&
  !isFinished(instance) &&
  instance.spec.overlays.some(({ name, access }) => name === overlayName && access === attachment.access)
