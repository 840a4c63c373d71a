import type { AdvisedReason } from '../doctor/advice.ts'

/**
 * Who mends what an image or an instance waits for. The controller goes on trying
 * in every case, for its user may be another program; who sits before a terminal
 * wants to know when it is his turn.
 */
export type Mender =
  /** The wait ends by itself: another's work, room, a node, a network. */
  | 'itself'
  /** Somebody has to change something; who has just done so is given a moment to be noticed. */
  | 'person'
  /** What was typed a moment ago is wrong: no wait mends it. Of an instance, whose spec is older, as `person`. */
  | 'typist'

const reasons: Record<Mender, readonly AdvisedReason[]> = {
  typist: ['ImageNotFound', 'ImageUnauthorized', 'PlatformNotFound', 'PullSecretInvalid'],
  person: [
    'ClaimLost',
    'ClaimNotFound',
    'ClaimNotOurs',
    'ClaimRefused',
    'ClaimTaken',
    'ClaimUnsuitable',
    'CrashLoopBackOff',
    'CreateContainerConfigError',
    'ImageClaimGone',
    'ImageDigestMismatch',
    'ImageGone',
    'ImageNotConverted',
    'ImageOnVolume',
    'ImagePlatformNotFound',
    'ImagePullSecretInvalid',
    'ImageReferenceInvalid',
    'ImageRefusedByPolicy',
    'ImageSourceNotAllowed',
    'ImageUnreachable',
    'InvalidSpec',
    'NotAnInstance',
    'OverlayClaimGone',
    'OverlayDamaged',
    'OverlayDeleted',
    'OverlayGone',
    'OverlayMissing',
    'OverlayNotBlank',
    'OverlayNotExt3',
    'OverlayNotFound',
    'OverlayNotImported',
    'OverlayNotProvisioned',
    'OverlayReadOnly',
    'OverlaySourceNotAllowed',
    'OverlayTooSmall',
    'OverlayUnsafe',
    'OverlayVolumeUnsuitable',
    'PodInvalid',
    'PodNameTaken',
    'PodRefused',
    'PrefetchNameTaken',
    'PrefetchRefused',
    'ProvisioningFailed',
    'RegistryUnreachable',
    'ResolveFailed',
    'SourceNotAllowed',
    'StartFailed',
    'VolumeModeMismatch',
    'VolumeSourceMissing',
  ],
  itself: [
    'ClaimPending',
    'Ending',
    'ImageNoSpace',
    'ImageNotResolved',
    'ImagePending',
    'ImagePullFailed',
    'ImagePullSecretPending',
    'MountUnderWay',
    'NotGranted',
    'OverlayBaseMismatch',
    'OverlayIncomplete',
    'OverlayInUse',
    'OverlayNoSpace',
    'OverlayNotChecked',
    'OverlayNotGrown',
    'OverlayNotHeld',
    'OverlayNotMade',
    'OverlayStillMounted',
    'PodFailed',
    'PreparePending',
    'Provisioning',
    'ReconcileError',
    'Resolving',
    'Restarting',
    'Starting',
    'Stopping',
    'Unschedulable',
    'VolumePending',
    'WaitingForPreviousClaim',
    'WaitingForPreviousPod',
  ],
}

const menders: ReadonlyMap<string, Mender> = new Map([
  ...reasons.itself.map((reason) => [reason, 'itself'] as const),
  ...reasons.person.map((reason) => [reason, 'person'] as const),
  ...reasons.typist.map((reason) => [reason, 'typist'] as const),
])

/** Undefined of a reason that is not ours: the kubelet's, say. */
export const menderOf = (reason: string): Mender | undefined => menders.get(reason)
