import type { Instance } from '../../../crds/instance.ts'
import type { PersistentOverlay } from '../../../crds/persistent-overlay.ts'
import {
  type AllowedSources,
  isAllowed,
  notAllowed,
  notAllowedReason,
  sourceKindOf,
} from '../../../kube/allowed-sources.ts'
import { isDigest } from '../../../kube/digest.ts'
import { parseVolumeReference, volumeDigest } from '../../../kube/image-source.ts'
import {
  baseMountPath,
  baseVolume,
  containers,
  ephemeralMountPath,
  ephemeralVolume,
  overlayMountPath,
  overlayVolume,
  releaseFinalizer,
  unhealthy,
  volumePrefix,
} from '../../../kube/names.ts'
import { instanceOwnerOf } from '../../../kube/owner.ts'
import { parseQuantity } from '../../../kube/quantity.ts'
import type { PersistentVolumeClaim, Pod } from '../../../kube/resources.ts'
import { overlayImageName } from '../../mount/names.ts'
import { Trouble } from '../trouble.ts'
import { hasDeviceOnly, mountsOnly, strangerToVolumes, volumeOf } from './pod-volumes.ts'
import { healthOfStatus } from './report.ts'

/** All that leave to mount rests on, each read live before a ticket is written. */
export interface Chain {
  pod: Pod
  /** Of the name that the pod's owner reference has. */
  instance: Instance | undefined
  /** Of an image on a volume: the claim that the grant names. */
  base: PersistentVolumeClaim | undefined
  /** In the order of the instance's grant, each with its claim. */
  overlays: readonly { overlay: PersistentOverlay | undefined; claim: PersistentVolumeClaim | undefined }[]
}

export interface GrantedOverlay {
  name: string
  uid: string
  access: 'ReadWrite' | 'ReadOnly'
  mountPath: string
  volumeMode: 'Filesystem' | 'Block'
  format: 'Image' | 'Directory'
  /** In a volume with a file system: of the image, or of the directory. */
  path: string
  /** Bytes, as the spec asks. */
  size: number
  /** How the file system is to be made. */
  ext3: NonNullable<PersistentOverlay['spec']['ext3']>
  /** On a claim that Lamina did not make: an image that is there keeps its size. */
  existing: boolean
  /** Whether its status says that an image has been made. */
  made: boolean
  /** Whether its status says that e2fsck left errors in it to a person, who may have mended them since, or that it could not be mounted. */
  wasDamaged: boolean
  /** Upon which other images it may be found, and is taken over from: digests, or any where it follows its image. */
  leaves: 'any' | string[]
}

export interface GrantedImage {
  reference: string
  digest: string
  /** Where it lies in the pod; null for one that is fetched. */
  volume: { mountPath: string; path: string } | null
  /** Whether an ext3 file system may be the base. */
  allowExt3: boolean
}

/** What the pod may mount. */
export interface Granted {
  instance: Instance
  image: GrantedImage
  overlays: GrantedOverlay[]
  ephemeral: boolean
}

/** The reason of a {@link Trouble} that the controller mends within milliseconds. */
export const notGrantedYet = 'NotGranted'

const forged = (what: string): Trouble =>
  new Trouble('NotAnInstance', `${what}: only pods that the Lamina controller makes for an Instance are mounted`, {
    final: true,
  })

const claimNameIn = (pod: Pod, volume: string): string | undefined =>
  volumeOf(pod, volume)?.persistentVolumeClaim?.claimName

type GrantOfOverlay = NonNullable<Instance['status']['overlays']>[number]

/** Whether the claim is the overlay's own, in its pod as it must be. */
const checkClaim = (
  pod: Pod,
  overlay: PersistentOverlay,
  claim: PersistentVolumeClaim | undefined,
  index: number,
): Trouble | undefined => {
  const { name } = overlay.metadata
  const { volumeMode } = overlay.spec.storage
  if (!claim || claim.metadata.uid !== overlay.status.claim?.uid) {
    return new Trouble(
      'OverlayClaimGone',
      `overlay "${name}": its PersistentVolumeClaim is gone, or another has its name`,
    )
  }
  if ((claim.spec?.volumeMode ?? 'Filesystem') !== volumeMode) {
    return new Trouble(
      'OverlayVolumeUnsuitable',
      `overlay "${name}": PersistentVolumeClaim ${claim.metadata.name} is not of volumeMode ${volumeMode}`,
    )
  }
  const [volume, path] = [overlayVolume(index), overlayMountPath(index)]
  if (claimNameIn(pod, volume) !== claim.metadata.name) {
    return forged(`volume ${volume} is not the claim of overlay "${name}"`)
  }
  if (volumeMode === 'Block') {
    return hasDeviceOnly(pod, volume, path)
      ? undefined
      : forged(`container ${containers.main} does not have the device ${volume} at ${path} alone`)
  }
  return mountsOnly(pod, volume, path)
    ? undefined
    : forged(`container ${containers.main} does not mount ${volume} at ${path} alone`)
}

/** Whether the instance holds the overlay, and nobody holds it as well who must not: a status may have been restored. */
const checkHeld = (
  { metadata: { uid, name: instanceName } }: Instance,
  { name, access }: GrantOfOverlay,
  { status: { attachments = [] } }: PersistentOverlay,
): Trouble | undefined => {
  if (!attachments.some((attachment) => attachment.instanceUID === uid && attachment.access === access))
    return new Trouble('OverlayNotHeld', `overlay "${name}" is not attached to instance "${instanceName}"`)
  const other = attachments.find(
    (attachment) => attachment.instanceUID !== uid && (access === 'ReadWrite' || attachment.access === 'ReadWrite'),
  )
  if (!other) return undefined
  return new Trouble(
    'OverlayNotHeld',
    `overlay "${name}" is attached to instance "${instanceName}" (${access}) and to instance "${other.instanceName}" (${other.access}), and who writes must be alone with it: stop one of the two`,
  )
}

/**
 * Whether the overlay that is written lies upon the image of the grant: the controller writes that first. A status that
 * was lost has no base; then `lamina.json` in the overlay tells ({@link ../../mount/root.ts}).
 */
const checkUpon = (
  { status: { image } }: Instance,
  { name, access }: GrantOfOverlay,
  { status: { base } }: PersistentOverlay,
): Trouble | undefined =>
  access === 'ReadOnly' || base === undefined || base.digest === image?.digest
    ? undefined
    : new Trouble(
        'OverlayBaseMismatch',
        `overlay "${name}" lies upon ${base.reference}, and the pod was granted ${image?.reference}: the controller replaces a pod that has not run; if this one stays, delete it`,
      )

/** An overlay that has followed may not have been mounted since, and `base: Follow` be taken out again. */
const leavesOf = ({ spec }: Instance, { name }: GrantOfOverlay, { status }: PersistentOverlay): 'any' | string[] => {
  const follows = spec.overlays.some((use) => use.name === name && use.base === 'Follow')
  return follows ? 'any' : status.previousBase ? [status.previousBase.digest] : []
}

/** The superblock need not tell. */
const toBeChecked: readonly string[] = [unhealthy.damaged, unhealthy.checkNeeded]

const checkOverlay = (
  { pod, instance }: { pod: Pod; instance: Instance },
  grant: GrantOfOverlay,
  { overlay, claim }: Chain['overlays'][number],
  allowed: AllowedSources,
  index: number,
): GrantedOverlay | Trouble => {
  const { name, uid, access } = grant
  const { namespace } = instance.metadata
  if (overlay?.metadata.uid !== uid) {
    return new Trouble(
      'OverlayGone',
      `overlay "${name}" is no longer the one that the instance was granted: delete the pod`,
    )
  }
  const unfit = checkHeld(instance, grant, overlay) ?? checkUpon(instance, grant, overlay)
  if (unfit) return unfit
  const { storage, format, ext3 = {}, size } = overlay.spec
  const existing = storage.existingClaimName !== undefined
  if (existing && !isAllowed(allowed, 'existingClaim', namespace)) {
    return new Trouble(`Overlay${notAllowedReason}`, `overlay "${name}": ${notAllowed('existingClaim', namespace)}`)
  }
  const problem = checkClaim(pod, overlay, claim, index)
  if (problem) return problem
  return {
    ...{ name, uid, access, format, ext3, existing },
    mountPath: overlayMountPath(index),
    volumeMode: storage.volumeMode,
    path: storage.path ?? (format === 'Image' ? overlayImageName : '.'),
    size: parseQuantity(size),
    made: overlay.status.usage !== undefined,
    wasDamaged: toBeChecked.includes(healthOfStatus(overlay)?.reason ?? ''),
    leaves: leavesOf(instance, grant, overlay),
  }
}

const checkEphemeral = (pod: Pod): Trouble | undefined =>
  volumeOf(pod, ephemeralVolume)?.emptyDir && mountsOnly(pod, ephemeralVolume, ephemeralMountPath)
    ? undefined
    : forged(`volume ${ephemeralVolume} is not an emptyDir at ${ephemeralMountPath}`)

const checkPod = ({ pod, instance }: Chain): Trouble | undefined => {
  if (!pod.metadata.finalizers.includes(releaseFinalizer)) return forged(`the pod has no finalizer ${releaseFinalizer}`)
  const owner = instanceOwnerOf(pod)
  if (!owner) return forged('the pod has no Instance as its controller')
  if (instance?.metadata.uid !== owner.uid)
    return forged(`there is no Instance "${owner.name}" with the uid that the pod names`)
  if (instance.metadata.deletionTimestamp !== undefined) return forged(`Instance "${owner.name}" is being deleted`)
  const other = strangerToVolumes(pod)
  if (other !== undefined) return forged(`container "${other}" mounts a volume ${volumePrefix}*`)
  if (instance.status.pod?.uid === pod.metadata.uid) return undefined
  if (pod.metadata.name !== instance.metadata.name) return forged(`Instance "${owner.name}" has another pod`)
  return new Trouble(
    notGrantedYet,
    `Instance "${owner.name}" has not granted this pod its mounts yet: is the controller running?`,
  )
}

/** An image on a volume is known by its place: the claim that is there must be the one that the grant means. */
const checkBase = (
  pod: Pod,
  claim: PersistentVolumeClaim | undefined,
  { reference, digest }: Pick<GrantedImage, 'reference' | 'digest'>,
): GrantedImage['volume'] | Trouble => {
  const image = parseVolumeReference(reference)
  if (!image) return null
  const { claimName, path } = image
  if (!claim || volumeDigest(claim.metadata.namespace, claim.metadata.uid, path) !== digest) {
    return new Trouble(
      'ImageClaimGone',
      `the image is on PersistentVolumeClaim ${claimName}, which is gone, or another has its name: an overlay that was written upon it needs it back`,
    )
  }
  if (claimNameIn(pod, baseVolume) !== claimName || !mountsOnly(pod, baseVolume, baseMountPath, { readOnly: true })) {
    return forged(`container ${containers.main} does not mount claim ${claimName} at ${baseMountPath} alone, read-only`)
  }
  return { mountPath: baseMountPath, path }
}

const checkImage = (
  { pod, base }: Chain,
  { reference, digest }: Pick<GrantedImage, 'reference' | 'digest'>,
  allowed: AllowedSources,
): GrantedImage | Trouble => {
  const { namespace } = pod.metadata
  // The digest becomes a path on the node, and the reference an argument of the tool that fetches it.
  if (!isDigest(digest) || !reference.endsWith(`@${digest}`)) {
    return new Trouble(
      'ImageReferenceInvalid',
      `status.image of the instance is not repository@digest with that digest ("${reference}", "${digest}"): only the Lamina controller writes it`,
    )
  }
  const kind = sourceKindOf(reference)
  if (kind && !isAllowed(allowed, kind, namespace)) {
    return new Trouble(`Image${notAllowedReason}`, notAllowed(kind, namespace))
  }
  const volume = checkBase(pod, base, { reference, digest })
  if (volume instanceof Trouble) return volume
  return { reference, digest, volume, allowExt3: isAllowed(allowed, 'ext3Base', namespace) }
}

/**
 * Whether everything that the pod would mount is its instance's to mount. Pure:
 * the same chain, the same answer.
 *
 * @param allowed what the administrator lets namespaces bring along
 */
export const checkChain = (chain: Chain, allowed: AllowedSources): Granted | Trouble => {
  const { pod, instance } = chain
  const trouble = checkPod(chain)
  if (trouble) return trouble
  const granted = instance?.status.image
  if (!instance || !granted) return new Trouble(notGrantedYet, 'the instance has no resolved image yet')
  const image = checkImage(chain, granted, allowed)
  if (image instanceof Trouble) return image
  const overlays: GrantedOverlay[] = []
  for (const [index, grant] of (instance.status.overlays ?? []).entries()) {
    const found = chain.overlays[index] ?? { overlay: undefined, claim: undefined }
    const overlay = checkOverlay({ pod, instance }, grant, found, allowed, index)
    if (overlay instanceof Trouble) return overlay
    overlays.push(overlay)
  }
  const ephemeral = overlays.every(({ access }) => access === 'ReadOnly')
  const problem = ephemeral ? checkEphemeral(pod) : undefined
  return problem ?? { instance, image, overlays, ephemeral }
}
