import type { PersistentOverlay } from '../../crds/persistent-overlay.ts'
import { overlayImageName } from '../../runtime-shim/mount/names.ts'
import { conditionOf } from '../conditions.ts'
import { claimNameOf } from './claim.ts'

/** Reason of `Stalled` of an overlay whose place in a claim another has. */
export const takenReason = 'ClaimTaken'

/** Where in its volume an overlay's data lie, as path components; none for all of it. */
const placeOf = ({ spec: { storage, format } }: PersistentOverlay): string[] => {
  if (storage.volumeMode === 'Block') return []
  const path = storage.path ?? (format === 'Directory' ? '' : overlayImageName)
  return path.split('/').filter(Boolean)
}

/** Who writes to a directory writes to the images that lie in it. */
const overlap = (one: readonly string[], other: readonly string[]): boolean =>
  one.slice(0, other.length).every((component, index) => component === other[index])

const sharePlace = (one: PersistentOverlay, other: PersistentOverlay): boolean =>
  claimNameOf(one) === claimNameOf(other) && overlap(placeOf(one), placeOf(other))

const isAttached = ({ status }: PersistentOverlay): boolean => (status.attachments ?? []).length > 0

const stalledReason = ({ status }: PersistentOverlay): string | undefined => {
  const stalled = conditionOf(status.conditions, 'Stalled')
  return stalled?.status === 'True' ? stalled.reason : undefined
}

/** What no instance can use, nor has in use, keeps no place from others; but one that only waits for the place does. */
const isUseless = (overlay: PersistentOverlay): boolean =>
  !isAttached(overlay) && ![undefined, takenReason].includes(stalledReason(overlay))

/** Whether an instance has it, or could have it at any moment. */
const isIn = (overlay: PersistentOverlay): boolean =>
  isAttached(overlay) || (overlay.status.claim?.uid !== undefined && stalledReason(overlay) === undefined)

/** Who is in keeps its place, who is attached before all; then the older comes, then the smaller uid. */
const rankOf = (overlay: PersistentOverlay): string => {
  const { creationTimestamp = '', uid } = overlay.metadata
  return [isAttached(overlay) ? '0' : '1', isIn(overlay) ? '0' : '1', creationTimestamp, uid].join(' ')
}

/**
 * The overlay that has this one's place in its volume, where several name the
 * same. Places are given in order of rank: who gets none keeps none from others.
 */
export const rivalOf = (
  overlay: PersistentOverlay,
  others: readonly PersistentOverlay[],
): PersistentOverlay | undefined => {
  const before = others
    .filter((other) => other.metadata.uid !== overlay.metadata.uid && !isUseless(other))
    .filter((other) => claimNameOf(other) === claimNameOf(overlay) && rankOf(other) < rankOf(overlay))
    .toSorted((one, other) => (rankOf(one) < rankOf(other) ? -1 : 1))
  const placed: PersistentOverlay[] = []
  for (const each of before) if (!placed.some((holder) => sharePlace(each, holder))) placed.push(each)
  return placed.find((holder) => sharePlace(overlay, holder))
}
