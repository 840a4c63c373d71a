import type { PersistentOverlay } from '../../crds/persistent-overlay.ts'
import { parseKey } from '../../kube/resource.ts'
import { isUntold } from '../conditions.ts'
import type { Context } from '../context.ts'
import { claimKeyOf } from './claim.ts'
import { type ClaimFinding, createClaim, refusalOf, standing } from './observe-claim.ts'

interface Lookups {
  caches: {
    overlays: Pick<Context['caches']['overlays'], 'by'>
    claims: Pick<Context['caches']['claims'], 'get'>
  }
}

/**
 * Whether whoever wants the overlay may try to make its claim along with its own:
 * it has not been looked at yet, and nothing is known of its claim.
 */
export const isUntouched = ({ caches }: Lookups, overlay: PersistentOverlay): boolean => {
  const key = claimKeyOf(overlay)
  return (
    isUntold(overlay) &&
    overlay.status.claim === undefined &&
    overlay.metadata.deletionTimestamp === undefined &&
    overlay.spec.storage.existingClaimName === undefined &&
    caches.claims.get(parseKey(key)) === undefined &&
    caches.overlays.by('claim', key).every(({ metadata }) => metadata.uid === overlay.metadata.uid)
  )
}

/**
 * Makes the claim of an untouched overlay. One that has just been made holds no
 * data, and no pod can have it mounted: with any other, what it holds, upon which
 * base, and who may still have it is for the overlay's own pass to find out.
 *
 * @returns undefined when there is a claim of the name
 */
export const makeFirstClaim = async (
  context: Context,
  overlay: PersistentOverlay,
): Promise<ClaimFinding | undefined> => {
  try {
    const claim = await createClaim(context, overlay)
    return claim && (await standing(context, claim, overlay))
  } catch (error) {
    return refusalOf(error)
  }
}

/** Whether a pod can be made with the claim, which may get its volume through that. */
export const isUsable = ({ kind }: ClaimFinding): boolean => ['bound', 'waitsForConsumer', 'pending'].includes(kind)
