/** The overlay image in a volume with a file system, unless another path is given. */
export const overlayImageName = 'overlay.img'

/** Beside `upper/`: what is known of the overlay ({@link ./record.ts}). */
export const overlayRecordName = 'lamina.json'

/** In an overlay of format Directory: the squashfs whose loop device bears the lock. */
export const lockFileName = 'lock.squashfs'
