import type {
  Attachment,
  GrowthBlocked,
  PersistentOverlay,
  PersistentOverlayStatus,
} from '../../crds/persistent-overlay.ts'
import { notAllowedReason } from '../../kube/allowed-sources.ts'
import { formatQuantity, parseQuantity } from '../../kube/quantity.ts'
import {
  type ConditionVerdict,
  conditionOf,
  mergeConditions,
  type Standing,
  standingConditions,
  verdict,
} from '../conditions.ts'
import { capacityOf, isGrowing } from './claim.ts'
import { takenReason } from './contest.ts'
import { mustGrow } from './growth.ts'
import type { ClaimFinding } from './observe-claim.ts'

/** The condition that the node agent writes; all others are the controller's. */
const agentCondition = 'Healthy'

/** The part of the status that is the controller's to write. */
export const controllerStatus = ({ usage: _, lastCheckTime: __, ...status }: PersistentOverlayStatus) => ({
  ...status,
  conditions: (status.conditions ?? []).filter(({ type }) => type !== agentCondition),
})

const waitsForConsumer = 'WaitingForFirstConsumer'
const provisioning = 'Provisioning'
const provisioningFailed = 'ProvisioningFailed'
/** Reason of `Attached` of a pod that should have ended. */
export const notReleased = 'NotReleased'
/** Reasons of `Ready` while there is no volume, and nothing said that there would be one by now. */
const unmade: readonly (string | undefined)[] = [provisioning, provisioningFailed]

/**
 * @param standing the reason of `Ready`
 * @param overdue of pods that should have ended: what keeps them, in words
 */
const attachedVerdict = (
  attachments: readonly Attachment[],
  standing: string | undefined,
  overdue: readonly string[] = [],
): ConditionVerdict => {
  const [first] = attachments
  if (!first) return verdict('Attached', 'False', 'Free')
  if (unmade.includes(standing)) {
    const names = attachments.map(({ instanceName }) => instanceName).join(', ')
    // Never False while somebody may mount it: what is known of the volume may be a moment old.
    return verdict('Attached', 'Unknown', 'VolumePending', `kept for ${names}: the volume is not made yet`)
  }
  const readers = attachments.map(({ instanceName, attachTime }) => `${instanceName} since ${attachTime}`)
  const [reason, who] =
    first.access === 'ReadWrite'
      ? ['Writer', `${first.instanceName} has it for writing since ${first.attachTime}`]
      : ['Readers', `for reading: ${readers.join(', ')}`]
  return overdue.length === 0
    ? verdict('Attached', 'True', reason, who)
    : verdict('Attached', 'True', notReleased, [who, ...overdue].join('; '))
}

/** Of plain directories it is their volume's. */
const sizeOf = ({ spec, status: { usage } }: PersistentOverlay): string | undefined => {
  if (usage) return formatQuantity(usage.capacityBytes)
  return spec.storage.existingClaimName === undefined ? spec.size : undefined
}

/** What the node says of the size that the spec asks now. */
const blockedGrowthOf = ({ spec, status }: PersistentOverlay): GrowthBlocked | undefined => {
  const { growthBlocked } = status.usage ?? {}
  return growthBlocked && parseQuantity(spec.size) === growthBlocked.bytes ? growthBlocked : undefined
}

/** No node grows it while it is in use: see the agent's growth.ts. */
const isSharedDevice = ({ spec: { storage } }: PersistentOverlay): boolean =>
  storage.volumeMode === 'Block' && storage.accessMode === 'ReadWriteMany'

const resizingVerdict = (
  overlay: PersistentOverlay,
  finding: ClaimFinding,
  attachments: readonly Attachment[],
): ConditionVerdict => {
  const claim = 'claim' in finding ? finding.claim : undefined
  if (claim && isGrowing(claim)) {
    return verdict('Resizing', 'True', 'VolumeGrowing', `the volume grows from ${capacityOf(claim)}`)
  }
  if (!mustGrow(overlay)) return verdict('Resizing', 'False', 'AsSpecified')
  const blocked = blockedGrowthOf(overlay)
  if (blocked?.reason === 'OverlayTooSmall') return verdict('Resizing', 'False', blocked.reason, blocked.message)
  if (!attachments.some(({ access }) => access === 'ReadWrite')) {
    const message = 'the file system grows when the next instance starts to write to it'
    return verdict('Resizing', 'True', 'AtNextStart', message)
  }
  if (blocked) return verdict('Resizing', 'True', blocked.reason, blocked.message)
  return isSharedDevice(overlay)
    ? verdict(
        'Resizing',
        'True',
        'RestartRequired',
        'the file system grows at the next start: other nodes may have its device',
      )
    : verdict('Resizing', 'True', 'FileSystemGrowing', 'the node makes the file system larger while it is in use')
}

/** Whether writing can still find the volume full after the overlay's file system has said yes. */
const allocatedVerdict = ({ spec: { storage, format, ext3 } }: PersistentOverlay): ConditionVerdict => {
  if (storage.volumeMode === 'Block') return verdict('Allocated', 'True', 'Device')
  if (format === 'Directory') return verdict('Allocated', 'True', 'Directory')
  if (ext3?.allocation === 'Sparse') {
    return verdict(
      'Allocated',
      'False',
      'Sparse',
      'the image takes blocks of its volume only as they are written: when the volume is full by then, writes are lost although programs saw them succeed. Keep room in the volume, or make an overlay with allocation: Full',
    )
  }
  return storage.existingClaimName === undefined
    ? verdict('Allocated', 'True', 'Full')
    : verdict('Allocated', 'Unknown', 'AsFound', 'the image is as it was found in the claim')
}

/** @param words the provisioner's own */
const notMade = (words: string): string =>
  `the volume is not made: ${words}: make the overlay anew with another size or storage.storageClassName, or have the StorageClass mended`

const standingOf = (finding: ClaimFinding, attachments: readonly Attachment[]): Standing => {
  switch (finding.kind) {
    case 'bound':
      return { kind: 'ready', reason: 'Bound' }
    case 'waitsForConsumer':
      return {
        kind: 'ready',
        reason: waitsForConsumer,
        // What is said at an attachment may stand for a while: see soon.ts.
        message:
          attachments.length === 0
            ? 'the volume is made when the first instance starts with it'
            : 'the volume is made with the start of the instance that has it',
      }
    case 'pending':
      return finding.trouble === undefined
        ? { kind: 'progressing', reason: provisioning, message: 'the volume is being made' }
        : { kind: 'progressing', reason: provisioningFailed, message: notMade(finding.trouble) }
    case 'refused':
      return { kind: 'progressing', reason: 'ClaimRefused', message: finding.message }
    case 'previousClaim':
      return { kind: 'progressing', reason: 'WaitingForPreviousClaim', message: finding.message }
    case 'absent':
      return { kind: 'progressing', reason: 'ClaimNotFound', message: finding.message }
    case 'notAllowed':
      return { kind: 'stalled', reason: notAllowedReason, message: finding.message }
    case 'unsuitable':
      return { kind: 'stalled', reason: finding.reason, message: finding.message }
    case 'taken':
      return { kind: 'stalled', reason: takenReason, message: finding.message }
    case 'foreign':
      return { kind: 'stalled', reason: 'ClaimNotOurs', message: finding.message }
    case 'lost':
      return { kind: 'stalled', reason: 'ClaimLost', message: finding.message }
  }
}

/** The controller's part of the status after a pass. */
export const statusAfter = (
  overlay: PersistentOverlay,
  {
    finding,
    attachments,
    overdue,
    base,
    now,
  }: {
    finding: ClaimFinding
    attachments: Attachment[]
    /** Of pods that should have ended: what keeps them, in words. */
    overdue: readonly string[]
    base: PersistentOverlayStatus['base']
    now: Date
  },
): PersistentOverlayStatus => {
  const { generation } = overlay.metadata
  const claim = 'claim' in finding ? finding.claim : undefined
  const known = claim ? { name: claim.metadata.name, uid: claim.metadata.uid } : overlay.status.claim
  const capacity = claim ? capacityOf(claim) : overlay.status.capacity
  const size = sizeOf(overlay)
  const standing = standingOf(finding, attachments)
  const verdicts = [
    ...standingConditions(standing),
    attachedVerdict(attachments, standing.reason, overdue),
    resizingVerdict(overlay, finding, attachments),
    allocatedVerdict(overlay),
  ]
  return {
    observedGeneration: generation,
    ...(known ? { claim: known } : {}),
    ...(base ? { base } : {}),
    ...(overlay.status.previousBase ? { previousBase: overlay.status.previousBase } : {}),
    ...(size === undefined ? {} : { size }),
    ...(capacity === undefined ? {} : { capacity }),
    ...(attachments.length > 0 ? { attachments } : {}),
    conditions: mergeConditions(overlay.status.conditions, verdicts, { generation, now }),
  }
}

/** The same status, with the overlay upon another image from now on. */
export const withBase = (
  { status }: PersistentOverlay,
  base: NonNullable<PersistentOverlayStatus['base']>,
): PersistentOverlayStatus => {
  const previousBase = status.base && { reference: status.base.reference, digest: status.base.digest }
  return { ...controllerStatus(status), base, ...(previousBase ? { previousBase } : {}) }
}

/** Whether a pod that should have ended may still have it: only the overlay's own pass finds out, and tells. */
const isStillUnreleased = (
  { attachments: before = [], conditions }: PersistentOverlayStatus,
  after: readonly Attachment[],
): boolean =>
  conditionOf(conditions, 'Attached')?.reason === notReleased &&
  before.some(({ instanceUID }) => after.some((attachment) => attachment.instanceUID === instanceUID))

/**
 * The same status with other attachments, and with `base` when the overlay has none yet.
 *
 * @param remembered what the overlay's claim knows of its base
 */
export const withAttachments = (
  overlay: PersistentOverlay,
  attachments: Attachment[],
  { base, remembered }: Record<'base' | 'remembered', PersistentOverlayStatus['base']>,
  now: Date,
): PersistentOverlayStatus => {
  const { attachments: _, base: before, conditions, ...rest } = controllerStatus(overlay.status)
  // Nothing has been written upon a base while the overlay has not even been made.
  const isUnwritten = attachments.length === 0 && overlay.status.usage === undefined
  // The same image may be read with other secrets by now.
  const current = before === undefined || before.digest === base?.digest ? base : before
  const keptBase = isUnwritten ? remembered : current
  const standing = conditionOf(conditions, 'Ready')?.reason
  const attached = mergeConditions(conditions, [attachedVerdict(attachments, standing)], {
    generation: rest.observedGeneration ?? -1,
    now,
  })
  return {
    ...rest,
    ...(keptBase ? { base: keptBase } : {}),
    ...(attachments.length > 0 ? { attachments } : {}),
    conditions: isStillUnreleased(overlay.status, attachments)
      ? conditions
      : [...conditions.filter(({ type }) => type !== 'Attached'), ...attached],
  }
}
