import type { Preparation } from './preparation.ts'

/** What a user can do about what was found, in words. What was there before we came is never to be put out of the way. */

/** Something that is no overlay is where it should be. */
export const insteadOfThis = ({ volume, existing, made }: Preparation): string => {
  if (existing && volume.kind === 'device') return 'name another claim in a new overlay'
  if (existing)
    return 'name in a new overlay (storage.path) an ext3 image, a SIF with an overlay or, to be read only, a squashfs or a directory'
  if (made) return 'restore it from a backup, or make another overlay'
  return volume.kind === 'device'
    ? 'wipe it (wipefs --all, and its first and last MiB) to have one made, or make another overlay'
    : 'move it away to have a new one made'
}

/** What may become an overlay yet: it is looked at again. */
export const whileCopied = (preparation: Preparation): string =>
  `and something has written to it a moment ago: an image that is being copied there is taken when it is whole. If nothing copies one: ${insteadOfThis(preparation)}`

/** It was there, and is not any more. */
export const insteadOfTheLost = ({ existing }: Preparation): string =>
  existing
    ? 'restore it from a backup, or make another overlay'
    : 'restore it from a backup, or delete the PersistentOverlay and its PersistentVolumeClaim and make the overlay anew'
