import type { Instance } from '../../crds/instance.ts'
import type { PersistentOverlay } from '../../crds/persistent-overlay.ts'
import { overlayVolume, volumePrefix } from '../../kube/names.ts'
import type { Reflector } from '../../kube/reflector.ts'
import type { ObjectKey } from '../../kube/resource.ts'
import type { PersistentVolumeClaim, Pod } from '../../kube/resources.ts'
import { agentTrouble, type Trouble } from './pod-state.ts'

/** Reason of `OverlaysReady=False` of an instance that runs on although its overlay is no more. */
export const overlayDeleted = 'OverlayDeleted'
/** The same, of one whose overlay is there, but not for long the claim with its data. */
export const claimDeleted = 'OverlayClaimDeleted'

interface Lookups {
  caches: {
    overlays: Pick<Reflector<PersistentOverlay>, 'get'>
    claims: Pick<Reflector<PersistentVolumeClaim>, 'get'>
  }
}

const claimNameAt = ({ spec }: Pod, index: number): string | undefined =>
  spec?.volumes?.find(({ name }) => name === overlayVolume(index))?.persistentVolumeClaim?.claimName

/** Of claims of ours: whether it outlives its overlay. */
const isKept = (claim: PersistentVolumeClaim | undefined): boolean =>
  claim !== undefined &&
  claim.metadata.deletionTimestamp === undefined &&
  !claim.metadata.ownerReferences.some(({ kind }) => kind === 'PersistentOverlay')

/** What becomes of the data, and what to do. */
const fateOf = ({ caches }: Lookups, overlay: string, namespace: string, claimName: string): string => {
  const isOurs = claimName.startsWith(volumePrefix)
  const isSafe = !isOurs || isKept(caches.claims.get({ namespace, name: claimName }))
  return isSafe
    ? `the data stay in PersistentVolumeClaim ${claimName}: make PersistentOverlay "${overlay}" again to take them up, or no other instance starts with them`
    : `PersistentVolumeClaim ${claimName} with the data goes when the pod ends: copy out what you need before that`
}

/** A claim that was deleted under a pod, which keeps it until the pod ends: protection of storage objects in use. */
const endingClaim = ({ caches }: Lookups, overlay: string, key: ObjectKey): Trouble | undefined => {
  if (caches.claims.get(key)?.metadata.deletionTimestamp === undefined) return undefined
  const message = `PersistentVolumeClaim ${key.name}, which holds the data of overlay "${overlay}", is being deleted, and goes when this pod ends: copy out what you need before that`
  return { reason: claimDeleted, message }
}

/** An overlay or its claim that was deleted under a pod, which keeps its mount. No finalizer holds overlays, which a controller that is down could not take off: so it is told. */
export const dataGoingOf = (context: Lookups, { status }: Instance, pod: Pod): Trouble | undefined => {
  const { namespace } = pod.metadata
  for (const [index, { name }] of (status.overlays ?? []).entries()) {
    const overlay = context.caches.overlays.get({ namespace, name })
    const claimName = claimNameAt(pod, index)
    if (claimName === undefined) continue
    if (overlay && !overlay.metadata.deletionTimestamp) {
      const trouble = endingClaim(context, name, { namespace, name: claimName })
      if (trouble) return trouble
      continue
    }
    const message = `overlay "${name}" has been deleted: this pod has it mounted until it ends; ${fateOf(context, name, namespace, claimName)}`
    return { reason: overlayDeleted, message }
  }
  return undefined
}

/** An overlay that was made again before the pod had mounted it: its leave was for the one before. */
export const remadeOverlayOf = ({ caches }: Lookups, { status }: Instance, pod: Pod): string | undefined => {
  if (agentTrouble(pod)?.reason !== 'OverlayGone') return undefined
  const { namespace } = pod.metadata
  return status.overlays?.find(({ name, uid }) => {
    const overlay = caches.overlays.get({ namespace, name })
    return overlay !== undefined && overlay.metadata.uid !== uid
  })?.name
}
