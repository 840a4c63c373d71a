import type { Instance } from '../../crds/instance.ts'
import type { Attachment, PersistentOverlay } from '../../crds/persistent-overlay.ts'
import { claimName, releaseFinalizer } from '../../kube/names.ts'
import type { Pod } from '../../kube/resources.ts'

/** uid of the Instance that owns the pod. */
export const ownerOf = ({ metadata }: Pod): string | undefined =>
  metadata.ownerReferences.find(({ kind, controller }) => kind === 'Instance' && controller === true)?.uid

/** Keeps its overlays from others until the node has proved them free. */
export const isUnreleased = ({ metadata }: Pod): boolean => metadata.finalizers.includes(releaseFinalizer)

const usesClaim = ({ spec }: Pod, claim: string): boolean =>
  (spec?.volumes ?? []).some(({ persistentVolumeClaim }) => persistentVolumeClaim?.claimName === claim)

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
  const known = new Set((overlay.status.attachments ?? []).map(({ instanceUID }) => instanceUID))
  return pods
    .filter((pod) => isUnreleased(pod) && usesClaim(pod, claimName(overlay.metadata.name)))
    .flatMap((pod): Attachment[] => {
      const instanceUID = ownerOf(pod)
      if (instanceUID === undefined || known.has(instanceUID)) return []
      known.add(instanceUID)
      const instance = instances.find(({ metadata }) => metadata.uid === instanceUID)
      const use = instance?.status.overlays?.find(({ name }) => name === overlay.metadata.name)
      return [
        {
          instanceUID,
          instanceName: pod.metadata.name,
          access: use?.access ?? 'ReadWrite',
          attachTime: pod.metadata.creationTimestamp ?? '1970-01-01T00:00:00Z',
        },
      ]
    })
}

const isFinished = ({ spec, status }: Instance): boolean =>
  spec.restartPolicy !== 'Always' &&
  (status.conditions ?? []).some(
    ({ type, reason }) => type === 'Running' && (reason === 'Completed' || reason === 'Failed'),
  )

/** Whether the instance as it is now asks to keep this attachment. */
export const isWanted = (attachment: Attachment, overlayName: string, instance: Instance | undefined): boolean =>
  instance !== undefined &&
  instance.metadata.uid === attachment.instanceUID &&
  instance.metadata.deletionTimestamp === undefined &&
  instance.spec.state === 'Running' &&
  !isFinished(instance) &&
  instance.spec.overlays.some(({ name, access }) => name === overlayName && access === attachment.access)
