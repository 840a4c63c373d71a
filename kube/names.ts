/**
 * Every name that two parts of Lamina must agree on in the cluster: what the
 * controller writes into pods and claims, the agent looks for, and the runtime
 * finds again in an OCI bundle.
 */

export const group = 'lamina.dev'
export const version = 'v1alpha1'
export const apiVersion = `${group}/${version}`

/** What a name may be: a DNS label of RFC 1123. As a pattern, for others to be made of. */
export const labelPattern = '[a-z0-9](?:[-a-z0-9]{0,61}[a-z0-9])?'

const label = new RegExp(`^${labelPattern}$`)

/** Whether a name can be that of a namespace, or of an object of our kinds. */
export const isLabel = (text: string): boolean => label.test(text)

export const runtimeClassName = 'lamina'

/** The finalizer that keeps an instance's pod until the node has proved its overlays free (docs/decisions/0003-lost-nodes.md: or another has). */
export const releaseFinalizer = `${group}/release`

export const labels = {
  /** On pods: the Instance's name. */
  instance: `${group}/instance`,
  /** On PVCs: the PersistentOverlay's name. */
  overlay: `${group}/overlay`,
  /** On pods that only bring an image to their node, and on their DaemonSet: the ContainerImage's name. */
  prefetch: `${group}/prefetch`,
  managedBy: 'app.kubernetes.io/managed-by',
} as const

export const managedByValue = 'lamina.dev'

export const annotations = {
  /** On Instances: any new value starts one again that has stopped for its idleness, or has finished. */
  startRequested: `${group}/start-requested`,
  /** On pods: the node is to tell by {@link idleCondition} whether anybody uses it; a time asks for a look not older. */
  reportIdle: `${group}/report-idle`,
  /** On pods: the size that the overlay which they write is to grow to; the node looks after every new value at once. */
  growTo: `${group}/grow-to`,
  /** On pods: the image's stop signal, which the container runtime does not know. Whoever writes another changes how his own process ends. */
  stopSignal: `${group}/stop-signal`,
  /** On pods: hash of the pod's desired spec. For display and comparison by the controller; nodes trust no annotation. */
  templateHash: `${group}/template-hash`,
  /** On pods: kubectl's own, so that `exec` and `logs` need no `-c`. */
  defaultContainer: 'kubectl.kubernetes.io/default-container',
  /** On PVCs: mirror of the overlay's `status.base`, as JSON. */
  base: `${group}/base`,
  /** On pods of a prefetch: the image's resolved reference. For display, and so that a new digest rolls them. */
  imageReference: `${group}/image-reference`,
  /** On ContainerImages, by users: any new value has the tag looked up at once; status repeats it. */
  refreshRequested: `${group}/refresh-requested`,
} as const

/** Reasons of an overlay's condition Healthy that is False. */
export const unhealthy = {
  /** The kernel noted errors; e2fsck is to go over it. */
  errorsNoted: 'FileSystemErrors',
  /** It could not be mounted, or only in spite of damage; e2fsck is to go over it. */
  checkNeeded: 'CheckNeeded',
  /** e2fsck -p leaves it to a person. */
  damaged: 'FileSystemDamaged',
} as const

/** Containers of an instance's pod that the runtime changes; every other container passes through untouched. */
export const containers = { main: 'main', prepare: 'prepare' } as const
/** What a prefetch's pods run after `prepare`: nothing, from the operator's own image. */
export const holdContainer = 'hold'

/** Pod volumes of ours begin with this; a user's volumes and mounts may not. */
export const volumePrefix = 'lamina-'
/** Volume of the overlay at `index` in the instance's `spec.overlays`. */
export const overlayVolume = (index: number): string => `${volumePrefix}${index}`
/** emptyDir of the throw-away overlay. */
export const ephemeralVolume = `${volumePrefix}ephemeral`
/** Volume of an image that lies on a claim. */
export const baseVolume = `${volumePrefix}base`
/** Secret volume of the pull secret at `index`. */
export const pullSecretVolume = (index: number): string => `${volumePrefix}pull-${index}`

/** Where our volumes are mounted in the pod spec; the runtime strips these mounts from the container. */
export const mountRoot = '/.lamina'
export const overlayMountPath = (index: number): string => `${mountRoot}/overlays/${index}`
export const ephemeralMountPath = `${mountRoot}/ephemeral`
export const baseMountPath = `${mountRoot}/base`
export const pullSecretMountPath = (index: number): string => `${mountRoot}/pull/${index}`
/** The pause init (catatonit), bound into every instance by the runtime. */
export const initPath = `${mountRoot}/init`
export const idleCommand = [initPath, '-P'] as const
/** The directory of the pod's progress files, bound into `prepare` by the runtime. */
export const progressMountPath = `${mountRoot}/progress`

/** Label of nodes whose handler works; the RuntimeClass sends instances there. */
export const readyNodeLabel = `${group}/ready`

/** PVC of an overlay; also the prefix that the admission policy guards. */
export const claimName = (overlayName: string): string => `${volumePrefix}${overlayName}`

/** DaemonSet of an image's prefetch. */
export const prefetchName = (imageName: string): string => `${volumePrefix}prefetch-${imageName}`

/** The pod condition by which the agent tells what keeps an instance from being mounted. */
export const preparedCondition = `${group}/Prepared`
/** The pod condition by which the agent tells that nobody uses an instance, and since when. */
export const idleCondition = `${group}/Idle`
/** Reason of {@link preparedCondition} while the image is being fetched: the message tells how far it is. */
export const pendingReason = 'ImagePending'

/** Of the controller's Deployment: whether the admission policies are in force. */
export const guardedCondition = `${group}/Guarded`
