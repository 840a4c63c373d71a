import { pendingReason } from './names.ts'

/**
 * Every reason with which a node's agent keeps a pod from being mounted, and
 * whether trying again can mend it. `hopeless` is what stays until somebody
 * changes the spec or what it names: the agent goes on trying, and an Instance
 * says Stalled. What may come by itself (a claim or file that is still being
 * made, room, a registry, an administrator's setting that has not come to this
 * node yet: the controller refuses for good) is `retry`.
 */
export const nodeReasons = {
  ImageClaimGone: 'retry',
  ImageDigestMismatch: 'hopeless',
  ImageGone: 'retry',
  ImageNoSpace: 'retry',
  ImageNotConverted: 'hopeless',
  ImageNotFound: 'retry',
  ImageNotResolved: 'retry',
  ImageOnVolume: 'hopeless',
  [pendingReason]: 'retry',
  ImagePlatformNotFound: 'hopeless',
  ImagePullFailed: 'retry',
  ImagePullSecretInvalid: 'retry',
  ImagePullSecretPending: 'retry',
  ImageReferenceInvalid: 'hopeless',
  ImageRefusedByPolicy: 'retry',
  ImageSourceNotAllowed: 'retry',
  ImageUnauthorized: 'retry',
  ImageUnreachable: 'retry',
  MountUnderWay: 'retry',
  NotAnInstance: 'hopeless',
  NotGranted: 'retry',
  OverlayBaseMismatch: 'retry',
  OverlayClaimGone: 'retry',
  OverlayDamaged: 'hopeless',
  OverlayGone: 'retry',
  OverlayInUse: 'retry',
  OverlayIncomplete: 'retry',
  OverlayMissing: 'retry',
  OverlayNoSpace: 'retry',
  OverlayNotBlank: 'hopeless',
  OverlayNotChecked: 'retry',
  OverlayNotExt3: 'hopeless',
  OverlayNotGrown: 'retry',
  OverlayNotHeld: 'retry',
  OverlayNotImported: 'hopeless',
  OverlayNotMade: 'retry',
  OverlayReadOnly: 'hopeless',
  OverlaySourceNotAllowed: 'retry',
  OverlayStillMounted: 'retry',
  OverlayTooSmall: 'hopeless',
  OverlayUnsafe: 'hopeless',
  OverlayVolumeUnsuitable: 'hopeless',
  PreparePending: 'retry',
} as const

export type NodeReason = keyof typeof nodeReasons

export const isNodeReason = (reason: unknown): reason is NodeReason =>
  typeof reason === 'string' && Object.hasOwn(nodeReasons, reason)

export const isHopeless = (reason: string): boolean => isNodeReason(reason) && nodeReasons[reason] === 'hopeless'
