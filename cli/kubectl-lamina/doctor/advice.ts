import type { NodeReason } from '../../../kube/node-reasons.ts'

/**
 * What to do next about each reason that conditions and Events give. What is wrong
 * they say themselves. NAME and NAMESPACE stand for the object's, OVERLAY and IMAGE for
 * those that an instance names.
 */

const waits = 'nothing: it goes on by itself'
const administrator = 'ask who runs the cluster'
const recover =
  'copy what can be read (kubectl lamina run IMAGE --overlay OVERLAY:ro -- tar c /home > home.tar), then docs/overlays.md, "Recover a damaged overlay"'
const storage = 'kubectl -n NAMESPACE describe pvc lamina-OVERLAY, and make room in its storage'
const provisioner = 'kubectl -n NAMESPACE describe pvc lamina-OVERLAY, then correct the StorageClass or make room'
const cache = `make room on the node's disk for images (/var/lib/lamina), or ${administrator}`
const otherPlatform = 'name an image for the processor of your nodes, or set spec.platform of the ContainerImage'
const secret =
  'kubectl create secret docker-registry …, and name it in spec.source.registry.pullSecrets of the ContainerImage'
const reference = 'correct spec.source of the ContainerImage (kubectl edit cimg IMAGE)'
const registry = `check the registry's address, and that nodes and controller reach it; or ${administrator}`
const newOverlay = 'restore it from a backup, or name another overlay'

/** Reasons with which nodes keep a pod from being mounted. */
const ofNodes: Record<NodeReason, string> = {
  ImageClaimGone: 'make the claim again, or correct spec.source.volume of the ContainerImage',
  ImageDigestMismatch:
    'the file is another than the sha256 says: find out why before you correct spec.source.file.sha256',
  ImageGone: 'kubectl -n NAMESPACE get cimg IMAGE: make it again, or correct spec.imageRef',
  ImageNoSpace: cache,
  ImageNotConverted: 'the image cannot be made a squashfs: the message says what of it; build it anew, or take another',
  ImageNotFound: `${reference}; where there is none of the name: kubectl lamina image add REFERENCE --name IMAGE`,
  ImageNotResolved: waits,
  ImageOnVolume: 'put a squashfs, SIF, .simg or a directory where spec.source.volume.path says',
  ImagePending: waits,
  ImagePlatformNotFound: otherPlatform,
  ImagePullFailed: registry,
  ImagePullSecretInvalid: secret,
  ImagePullSecretPending: waits,
  ImageReferenceInvalid: reference,
  ImageRefusedByPolicy: `have the image signed, or ${administrator} for the chart's policyJson (docs/images.md, "Signatures")`,
  ImageSourceNotAllowed: `${administrator}, for the chart's value allowedSources`,
  ImageUnauthorized: `${secret}; where one is named, what is in it is wrong`,
  ImageUnreachable: registry,
  MountUnderWay: waits,
  NotAnInstance: 'delete the pod: only the controller makes pods of this RuntimeClass, by Instances',
  NotGranted: 'nothing, if it lasts seconds; else see whether the controller is up: kubectl lamina doctor',
  OverlayBaseMismatch: 'nothing, if it lasts seconds; else kubectl -n NAMESPACE describe ovl OVERLAY',
  OverlayClaimGone: newOverlay,
  OverlayDamaged: recover,
  OverlayGone: newOverlay,
  OverlayIncomplete: 'wait until the copy has ended: this starts by itself a minute after',
  OverlayInUse: 'stop the instance that has it, or wait: this one starts by itself then',
  OverlayMissing: newOverlay,
  OverlayNoSpace: storage,
  OverlayNotBlank:
    'the volume holds something else: name another StorageClass or claim, or wipe it if you know what it is',
  OverlayNotChecked: 'kubectl -n NAMESPACE logs NAME -c prepare says why e2fsck could not run',
  OverlayNotExt3: newOverlay,
  OverlayNotGrown: storage,
  OverlayNotHeld: 'nothing, if it lasts seconds; else kubectl -n NAMESPACE describe ovl OVERLAY',
  OverlayNotImported: 'name in a new overlay a file that is one: an ext3 image, a SIF with an overlay, a squashfs',
  OverlayNotMade: storage,
  OverlayReadOnly: 'it can only be read: give access: ReadOnly, or make another overlay to write to',
  OverlaySourceNotAllowed: `${administrator}, for the chart's value allowedSources.existingClaim`,
  OverlayStillMounted: 'kubectl -n NAMESPACE describe ovl OVERLAY says who has it; docs/overlays.md, "Who has it"',
  OverlayTooSmall: 'it was made to grow less far: make a larger overlay, and copy what you need',
  OverlayUnsafe: newOverlay,
  OverlayVolumeUnsuitable: 'choose another StorageClass: volumes must be of CSI or local, not hostPath',
  PreparePending: waits,
}

/** Reasons that the controller gives. */
const ofController = {
  BaseChanged:
    'nothing, to stay on the image that it lies upon; to go over to the new one set base: Follow (docs/images.md)',
  ClaimLost:
    'copy out what you need while an instance still has it; else restore it from a backup, or name another overlay',
  ClaimNotFound: 'make the claim that it names, or correct the name',
  ClaimNotOurs: 'hand the claim over by the label in the message, or give the overlay another name',
  ClaimPending: waits,
  ClaimRefused: 'the message says which quota, class or policy: ask for less, or for another class',
  ClaimTaken: 'name another place in the claim, or use the overlay that has it',
  ClaimUnsuitable: 'name a claim with a file system that is there',
  Completed: 'kubectl lamina start NAME runs it again',
  ContainersNotReady: 'kubectl -n NAMESPACE describe pod NAME tells of probes and sidecars',
  CreateContainerConfigError:
    'make the Secret or ConfigMap that is named, or correct env and envFrom: kubectl -n NAMESPACE edit instance NAME',
  CrashLoopBackOff: 'kubectl lamina logs NAME --previous says why its process ended',
  DeadlineExceeded: 'kubectl lamina start NAME begins anew; or raise spec.activeDeadlineSeconds',
  Ending: waits,
  Failed: 'kubectl lamina logs NAME, then kubectl lamina start NAME',
  FileSystemDamaged: recover,
  FileSystemErrors: 'stop and start the instance that writes to it: that has it checked',
  CheckNeeded: 'start an instance that writes to it: that has it checked',
  HandlerRefused: 'the message says what the node lacks (docs/nodes.md); the agent tries again by itself',
  Idle: 'kubectl lamina start NAME, or kubectl lamina shell NAME',
  ImageCorrupt: 'restart the instances on that image; if it comes again, look at the disk of the node',
  InvalidSpec: 'kubectl -n NAMESPACE edit instance NAME: the message names the field',
  NoNode: 'label a node as spec.prefetch.nodeSelector says, or correct that',
  NoSpace: cache,
  NotReleased: 'docs/overlays.md, "Who has it": what frees an overlay whose node does not answer',
  OverlayClaimDeleted:
    'copy out what you need now (kubectl -n NAMESPACE cp), before the instance is stopped; then make another overlay',
  OverlayDeleted: 'make an overlay of the same name: it takes the data up again (reclaimPolicy: Retain)',
  OverlayFull: 'make it larger (kubectl lamina overlay resize OVERLAY …), or delete what is not needed',
  OverlayNearlyFull: 'make it larger in time: kubectl lamina overlay resize OVERLAY …',
  OverlayNotFound: 'kubectl lamina overlay create OVERLAY, or correct spec.overlays',
  PlatformNotFound: otherPlatform,
  PodFailed: 'it is tried again; kubectl lamina logs NAME, and the message, say why it ended',
  PodInvalid: 'kubectl -n NAMESPACE edit instance NAME: the message names the field of podTemplate',
  PodNameTaken: 'delete or rename that pod, or give the instance another name',
  PodRefused:
    'the message says what refuses it. A quota: ask for less. Pod security: label the namespace (packages are installed as root: baseline). A RuntimeClass: kubectl lamina doctor. A class that is not there: correct podTemplate',
  PrefetchNameTaken: 'delete or rename that DaemonSet, or give the image another name',
  PrefetchRefused: 'the message says which quota, policy or pod security level: ask for less, or label the namespace',
  Provisioning: waits,
  OverlayNotProvisioned: provisioner,
  ProvisioningFailed: provisioner,
  PullSecretInvalid: secret,
  ReconcileError: 'kubectl lamina doctor looks at the controller; its log says more',
  RegistryUnreachable: registry,
  ResolveFailed: `${registry}. Where the message names policy.json, correct the chart's policyJson`,
  Resolving: waits,
  RestartRequired: 'kubectl lamina stop NAME && kubectl lamina start NAME applies it',
  ServiceInvalid: 'correct spec.ports and spec.service',
  ServiceNameTaken: 'delete or rename that Service, or give the instance another name',
  ServiceRefused: 'the message says which quota or policy: ask for less',
  SourceNotAllowed: `${administrator}, for the chart's value allowedSources`,
  Sparse: 'keep room in the volume, or make an overlay with allocation: Full and copy',
  StartFailed:
    'the message is the runtime’s: correct command, workingDir or user, or the file that the image is of; kubectl -n NAMESPACE describe pod NAME says more',
  Starting: 'nothing, if it lasts seconds; else kubectl -n NAMESPACE describe pod NAME',
  Restarting: 'nothing, if it lasts seconds; else kubectl lamina logs NAME --previous says why its process ended',
  Stopped: 'kubectl lamina start NAME',
  Stopping: waits,
  Unschedulable:
    'the message is the scheduler’s: free a node, ask for less, or see whether nodes are ready (kubectl lamina doctor)',
  VolumeModeMismatch: 'delete the overlay, and make it with the volumeMode that its claim has',
  VolumePending: waits,
  WaitingForOverlay: waits,
  WaitingForPreviousClaim: waits,
  WaitingForPreviousPod: 'nothing, if it lasts seconds; docs/overlays.md, "Who has it", where the node is lost',
} as const

/** Reasons that the plugin itself finds in what Events of a pod say. */
const ofEvents = {
  VolumeSourceMissing: 'make the Secret or ConfigMap, or correct the volume: kubectl -n NAMESPACE edit instance NAME',
} as const

/** Every reason that there is an advice for. */
export type AdvisedReason = NodeReason | keyof typeof ofController | keyof typeof ofEvents

const all: ReadonlyMap<string, string> = new Map(Object.entries({ ...ofController, ...ofNodes, ...ofEvents }))

/** What an advice is about. */
export interface Subject {
  name: string
  namespace: string
  overlay?: string | undefined
  image?: string | undefined
}

const fill = (text: string, { name, namespace, overlay, image }: Subject): string =>
  text
    .replaceAll('NAMESPACE', namespace)
    .replaceAll('NAME', name)
    .replaceAll('OVERLAY', overlay ?? 'OVERLAY')
    .replaceAll('IMAGE', image ?? 'IMAGE')

/** Of a reason that nobody has written of: the kubelet's, say. */
const elsewhere = 'kubectl -n NAMESPACE describe pod NAME says more'
/** Reasons that the kubelet's Events have, too, and for something else. */
const kubelets = new Set(['Failed'])

export const adviceFor = (reason: string, subject: Subject): string => fill(all.get(reason) ?? elsewhere, subject)

export const adviceForEvent = (reason: string, subject: Subject): string =>
  kubelets.has(reason) ? fill(elsewhere, subject) : adviceFor(reason, subject)

export const isAdvised = (reason: string): boolean => all.has(reason)
