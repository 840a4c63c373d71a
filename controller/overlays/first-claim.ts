import type { PersistentOverlay } from '../../crds/persistent-overlay.ts'
import type { Context } from '../context.ts'
import { claimKeyOf } from './claim.ts'
import type { ClaimFinding } from './observe-claim.ts'

/**
 * Whether whoever wants the overlay may make its claim along with its own: it
 * has not been looked at yet, and no other overlay names the claim.
 */
export const isUntouched = (
  { caches }: { caches: { overlays: Pick<Context['caches']['overlays'], 'by'> } },
  overlay: PersistentOverlay,
): boolean =>
  (overlay.status.conditions ?? []).length === 0 &&
  overlay.status.claim === undefined &&
  overlay.metadata.deletionTimestamp === undefined &&
  overlay.spec.storage.existingClaimName === undefined &&
  caches.overlays.by('claim', claimKeyOf(overlay)).every(({ metadata }) => metadata.uid === overlay.metadata.uid)

/** Whether a pod can be made with the claim, which may get its volume through that. */
export const isUsable = ({ kind }: ClaimFinding): boolean => ['bound', 'waitsForConsumer', 'pending'].includes(kind)
