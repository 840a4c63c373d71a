import type { PersistentOverlay } from '../../crds/persistent-overlay.ts'
import { overlayImageName } from '../../runtime-shim/mount/names.ts'
import { claimNameOf } from './claim.ts'

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

/** Who has the claim already keeps it; of two without, the older, then the smaller uid. */
const comesBefore = (one: PersistentOverlay, other: PersistentOverlay): boolean => {
  const rank = ({ status, metadata: { creationTimestamp = '', uid } }: PersistentOverlay) =>
    [status.claim?.uid === undefined ? '1' : '0', creationTimestamp, uid].join(' ')
  return rank(one) < rank(other)
}

/** The overlay that has this one's place in its volume, where two name the same. */
export const rivalOf = (
  overlay: PersistentOverlay,
  others: readonly PersistentOverlay[],
): PersistentOverlay | undefined =>
  others.find(
    (other) => other.metadata.uid !== overlay.metadata.uid && sharePlace(overlay, other) && comesBefore(other, overlay),
  )
