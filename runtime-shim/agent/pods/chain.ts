import type { V1Container, V1Volume } from '@kubernetes/client-node'
import type { Instance } from '../../../crds/instance.ts'
import type { PersistentOverlay } from '../../../crds/persistent-overlay.ts'
import { isDigest } from '../../../kube/digest.ts'
import {
  containers,
  ephemeralMountPath,
  ephemeralVolume,
  overlayMountPath,
  overlayVolume,
  releaseFinalizer,
  volumePrefix,
} from '../../../kube/names.ts'
import { instanceOwnerOf } from '../../../kube/owner.ts'
import { parseQuantity } from '../../../kube/quantity.ts'
import type { PersistentVolumeClaim, Pod } from '../../../kube/resources.ts'
import { Trouble } from '../trouble.ts'

/** All that leave to mount rests on (DESIGN §4, step 5), each read live. */
export interface Chain {
  pod: Pod
  /** Of the name that the pod's owner reference has. */
  instance: Instance | undefined
  /** In the order of the instance's grant, each with its claim. */
  overlays: readonly { overlay: PersistentOverlay | undefined; claim: PersistentVolumeClaim | undefined }[]
}

export interface GrantedOverlay {
  name: string
  uid: string
  access: 'ReadWrite' | 'ReadOnly'
  mountPath: string
  /** Bytes, as the spec asks. */
  size: number
  /** Whether its status says that an image has been made. */
  made: boolean
}

/** What the pod may mount. */
export interface Granted {
  instance: Instance
  image: { reference: string; digest: string }
  overlays: GrantedOverlay[]
  ephemeral: boolean
}

/** The reason of a {@link Trouble} that the controller mends within milliseconds. */
export const notGrantedYet = 'NotGranted'

const forged = (what: string): Trouble =>
  new Trouble('NotAnInstance', `${what}: only pods that the Lamina controller makes for an Instance are mounted`, {
    final: true,
  })

const mountsOnly = (main: V1Container | undefined, volume: string, mountPath: string): boolean => {
  const mounts = (main?.volumeMounts ?? []).filter(({ name }) => name === volume)
  return (
    mounts.length === 1 &&
    mounts.every((mount) => mount.mountPath === mountPath && !mount.subPath && !mount.subPathExpr)
  )
}

const volumeOf = ({ spec }: Pod, name: string): V1Volume | undefined =>
  spec?.volumes?.find((volume) => volume.name === name)

const mainOf = ({ spec }: Pod): V1Container | undefined => spec?.containers.find(({ name }) => name === containers.main)

type GrantOfOverlay = NonNullable<Instance['status']['overlays']>[number]

const checkOverlay = (
  { pod, instance }: { pod: Pod; instance: Instance },
  grant: GrantOfOverlay,
  index: number,
  { overlay, claim }: Chain['overlays'][number],
): Trouble | undefined => {
  const { name } = grant
  if (overlay?.metadata.uid !== grant.uid) {
    return new Trouble(
      'OverlayGone',
      `overlay "${name}" is no longer the one that the instance was granted: delete the pod`,
    )
  }
  const held = (overlay.status.attachments ?? []).some(
    ({ instanceUID, access }) => instanceUID === instance.metadata.uid && access === grant.access,
  )
  if (!held)
    return new Trouble('OverlayNotHeld', `overlay "${name}" is not attached to instance "${instance.metadata.name}"`)
  if (!claim || claim.metadata.uid !== overlay.status.claim?.uid) {
    return new Trouble(
      'OverlayClaimGone',
      `overlay "${name}": its PersistentVolumeClaim is gone, or another has its name`,
    )
  }
  if (volumeOf(pod, overlayVolume(index))?.persistentVolumeClaim?.claimName !== claim.metadata.name) {
    return forged(`volume ${overlayVolume(index)} is not the claim of overlay "${name}"`)
  }
  return mountsOnly(mainOf(pod), overlayVolume(index), overlayMountPath(index))
    ? undefined
    : forged(`container ${containers.main} does not mount ${overlayVolume(index)} at ${overlayMountPath(index)} alone`)
}

const checkEphemeral = (pod: Pod): Trouble | undefined =>
  volumeOf(pod, ephemeralVolume)?.emptyDir && mountsOnly(mainOf(pod), ephemeralVolume, ephemeralMountPath)
    ? undefined
    : forged(`volume ${ephemeralVolume} is not an emptyDir at ${ephemeralMountPath}`)

/** The raw volumes are for `main` and `prepare`, from which the runtime takes them: who writes to one owns the mount above it. */
const sharesVolumes = ({ spec }: Pod): string | undefined =>
  [...(spec?.containers ?? []), ...(spec?.initContainers ?? []), ...(spec?.ephemeralContainers ?? [])]
    .filter(({ name }) => name !== containers.main && name !== containers.prepare)
    .find(({ volumeMounts = [], volumeDevices = [] }) =>
      [...volumeMounts, ...volumeDevices].some(({ name }) => name.startsWith(volumePrefix)),
    )?.name

const checkPod = ({ pod, instance }: Chain): Trouble | undefined => {
  if (!pod.metadata.finalizers.includes(releaseFinalizer)) return forged(`the pod has no finalizer ${releaseFinalizer}`)
  const owner = instanceOwnerOf(pod)
  if (!owner) return forged('the pod has no Instance as its controller')
  if (instance?.metadata.uid !== owner.uid)
    return forged(`there is no Instance "${owner.name}" with the uid that the pod names`)
  if (instance.metadata.deletionTimestamp !== undefined) return forged(`Instance "${owner.name}" is being deleted`)
  const other = sharesVolumes(pod)
  if (other !== undefined) return forged(`container "${other}" mounts a volume ${volumePrefix}*`)
  if (instance.status.pod?.uid === pod.metadata.uid) return undefined
  if (pod.metadata.name !== instance.metadata.name) return forged(`Instance "${owner.name}" has another pod`)
  return new Trouble(
    notGrantedYet,
    `Instance "${owner.name}" has not granted this pod its mounts yet: is the controller running?`,
  )
}

/** The digest becomes a path on the node, and the reference an argument of the tool that fetches it. */
const checkImage = ({ reference, digest }: Granted['image']): Trouble | undefined =>
  isDigest(digest) && reference.endsWith(`@${digest}`)
    ? undefined
    : new Trouble(
        'ImageReferenceInvalid',
        `status.image of the instance is not repository@digest with that digest ("${reference}", "${digest}"): only the Lamina controller writes it`,
      )

/** Whether everything that the pod would mount is its instance's to mount. Pure: the same chain, the same answer. */
export const checkChain = (chain: Chain): Granted | Trouble => {
  const { pod, instance, overlays } = chain
  const trouble = checkPod(chain)
  if (trouble) return trouble
  const image = instance?.status.image
  if (!instance || !image) return new Trouble(notGrantedYet, 'the instance has no resolved image yet')
  const invalid = checkImage(image)
  if (invalid) return invalid
  const grants = instance.status.overlays ?? []
  const granted: GrantedOverlay[] = []
  for (const [index, grant] of grants.entries()) {
    const found = overlays[index] ?? { overlay: undefined, claim: undefined }
    const problem = checkOverlay({ pod, instance }, grant, index, found)
    if (problem) return problem
    const size = parseQuantity(found.overlay?.spec.size ?? '0')
    const made = found.overlay?.status.usage !== undefined
    granted.push({ ...grant, mountPath: overlayMountPath(index), size, made })
  }
  const ephemeral = granted.every(({ access }) => access === 'ReadOnly')
  const problem = ephemeral ? checkEphemeral(pod) : undefined
  return problem ?? { instance, image, overlays: granted, ephemeral }
}
