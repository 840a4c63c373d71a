import {
  overlayBaseSchema,
  type PersistentOverlay,
  type PersistentOverlayStatus,
} from '../../crds/persistent-overlay.ts'
import { ApiError, hasReason } from '../../kube/client.ts'
import { annotations, claimName, labels } from '../../kube/names.ts'
import type { ObjectKey } from '../../kube/resource.ts'
import { claims, type PersistentVolumeClaim } from '../../kube/resources.ts'
import type { Context } from '../context.ts'
import { claimOf, claimPatch, claimSize, isClaimOf, volumeModeProblem } from './claim.ts'
import { type Provisioning, provisioningTrouble, waitsForConsumer } from './provisioning.ts'

/** How the claim that holds an overlay's data stands. */
export type ClaimFinding =
  | { kind: 'bound'; claim: PersistentVolumeClaim }
  /** Its class provisions when a pod asks: nothing to wait for. */
  | { kind: 'waitsForConsumer'; claim: PersistentVolumeClaim }
  | { kind: 'pending'; claim: PersistentVolumeClaim; trouble: string | undefined }
  /** The API server does not let us make or grow it: quota, policy, a class that does not grow. */
  | { kind: 'refused'; claim: PersistentVolumeClaim | undefined; message: string }
  | { kind: 'foreign'; message: string }
  /** The administrator has not opened existing claims to the namespace. */
  | { kind: 'notAllowed'; message: string }
  /** A claim of the name, which holds nothing of this overlay's, has not gone yet. */
  | { kind: 'previousClaim'; message: string }
  /** The claim that the spec names is not there. */
  | { kind: 'absent'; message: string }
  /** The claim cannot hold what the spec asks. */
  | { kind: 'unsuitable'; reason: string; message: string }
  /** Another overlay has the place in the claim. */
  | { kind: 'taken'; message: string }
  | { kind: 'lost'; message: string }

const message = (error: unknown): string => (error instanceof ApiError ? error.words : String(error))

const keyOfClaim = ({ metadata: { namespace, name } }: PersistentOverlay): ObjectKey => ({
  namespace,
  name: claimName(name),
})

/** Of an overlay that never had one, the attempt to make it will tell. */
const find = async (
  { client, caches }: Context,
  overlay: PersistentOverlay,
): Promise<PersistentVolumeClaim | undefined> => {
  const key = keyOfClaim(overlay)
  const cached = caches.claims.get(key)
  return cached || overlay.status.claim === undefined ? cached : client.get(claims, key)
}

/** How a claim stands that is the overlay's. */
export const standing = async (
  context: Provisioning,
  claim: PersistentVolumeClaim,
  overlay: PersistentOverlay,
): Promise<ClaimFinding> => {
  if (claim.status?.phase === 'Bound') return { kind: 'bound', claim }
  if (claim.status?.phase === 'Lost') {
    return {
      kind: 'lost',
      message: `the volume of PersistentVolumeClaim ${claim.metadata.name} is gone: restore it, or delete the claim and this overlay to begin anew`,
    }
  }
  const trouble = await provisioningTrouble(context, claim, overlay)
  if (trouble === undefined && waitsForConsumer(context, claim)) return { kind: 'waitsForConsumer', claim }
  return { kind: 'pending', claim, trouble }
}

/** Kubernetes lets go of a claim once no pod uses it. */
const whenGone = ({ status: { attachments = [] } }: PersistentOverlay): string =>
  attachments.length === 0
    ? ''
    : `, and goes when ${attachments.map(({ instanceName }) => instanceName).join(', ')} has ended: copy out what you need before that`

const ending = ({ metadata: { name, uid } }: PersistentVolumeClaim, overlay: PersistentOverlay): ClaimFinding =>
  overlay.status.claim?.uid === uid
    ? {
        kind: 'lost',
        message: `PersistentVolumeClaim ${name}, which holds the data, is being deleted${whenGone(overlay)}`,
      }
    : {
        kind: 'previousClaim',
        message: `PersistentVolumeClaim ${name} from before this overlay is being deleted: the overlay's own is made when that is gone`,
      }

/** @throws what is no refusal of the API server's */
export const refusalOf = (error: unknown, claim?: PersistentVolumeClaim): ClaimFinding => {
  if (!hasReason(error, 'Forbidden', 'Invalid')) throw error
  return { kind: 'refused', claim, message: message(error) }
}

/**
 * The claim that the overlay asks for, made; undefined when there is one of the name.
 *
 * @throws ApiError with reason Forbidden or Invalid when the API server does not let us
 */
export const createClaim = async (
  { client, caches, settings }: Context,
  overlay: PersistentOverlay,
): Promise<PersistentVolumeClaim | undefined> => {
  const size = claimSize(overlay, settings.storageOverhead)
  try {
    const claim = await client.create(claims, claimOf(overlay, size), overlay.metadata.namespace)
    caches.claims.note(claim)
    return claim
  } catch (error) {
    if (hasReason(error, 'AlreadyExists')) return undefined
    throw error
  }
}

/** Makes the claim, readopts the one with our label, brings it to the size asked; touches no other. */
export const ensureClaim = async (context: Context, overlay: PersistentOverlay): Promise<ClaimFinding> => {
  const { client, caches, settings } = context
  const { name, namespace } = overlay.metadata
  const size = claimSize(overlay, settings.storageOverhead)
  let claim = await find(context, overlay)
  if (!claim) {
    const known = overlay.status.claim
    if (known?.uid !== undefined) {
      return {
        kind: 'lost',
        message: `PersistentVolumeClaim ${known.name}, which held the data, is gone: restore it with the label ${labels.overlay}=${name}, or delete this overlay and make it anew`,
      }
    }
    try {
      claim = (await createClaim(context, overlay)) ?? (await client.get(claims, keyOfClaim(overlay)))
    } catch (error) {
      return refusalOf(error)
    }
    if (!claim) throw new Error(`PersistentVolumeClaim ${claimName(name)} was there, and has gone since`)
  }
  if (claim.metadata.deletionTimestamp) return ending(claim, overlay)
  if (!isClaimOf(claim, overlay)) {
    return {
      kind: 'foreign',
      message: `PersistentVolumeClaim ${claim.metadata.name} exists and is not this overlay's: label it ${labels.overlay}=${name} to hand it over, or give the overlay another name`,
    }
  }
  const unsuitable = volumeModeProblem(claim, overlay.spec.storage)
  if (unsuitable !== undefined) return { kind: 'unsuitable', reason: 'VolumeModeMismatch', message: unsuitable }
  const patch = claimPatch(claim, overlay, size)
  if (patch) {
    try {
      claim = (await client.mergePatch(claims, { namespace, name: claim.metadata.name }, patch)) ?? claim
    } catch (error) {
      return refusalOf(error, claim)
    }
    caches.claims.note(claim)
  }
  return standing(context, claim, overlay)
}

/** What the claim remembers of the image that the overlay was first written upon. */
export const rememberedBase = ({ metadata }: PersistentVolumeClaim): PersistentOverlayStatus['base'] => {
  const text = metadata.annotations[annotations.base]
  if (text === undefined) return undefined
  try {
    return overlayBaseSchema.parse(JSON.parse(text))
  } catch {
    // Somebody wrote into it: the next writer's image becomes the base.
    return undefined
  }
}
