import { closeSync } from 'node:fs'
import { basename, dirname } from 'node:path'
import { hasCode } from './error-code.ts'
import { LockHeldError, lockImage } from './lock.ts'
import { type OpenFile, openFileIn } from './open.ts'
import { assertExt3, readSuperblock } from './superblock.ts'
import { retrySync } from './wait.ts'

/** The overlay image in a volume with a file system. */
export const overlayImageName = 'overlay.img'

export interface OverlaySource {
  name: string
  uid: string
  access: 'ReadWrite' | 'ReadOnly'
  /** Host directory of the volume, as the container runtime named it. */
  directory: string
}

/** An overlay image, open and locked; the locks go with the descriptors and the loop devices made from them. */
export interface OpenOverlay extends OpenFile {
  source: OverlaySource
  path: string
  /** Reader of an uncleanly unmounted image: open for writing under the exclusive lock, to replay the journal once. */
  replay: number | undefined
}

/** An overlay cannot be mounted; the message names it and what to do. */
export class OverlayError extends Error {
  override name = 'OverlayError'
}

/** Opens a read-only squashfs and takes the shared lock, which keeps it from being collected. */
export const openSquashfs = (path: string): number => {
  const { fd } = openFileIn(dirname(path), basename(path), 'read', path)
  lockImage(fd, 'shared', path)
  return fd
}

const imagePath = ({ directory }: OverlaySource): string => `${directory}/${overlayImageName}`

const openImage = (source: OverlaySource, access: 'read' | 'write'): OpenFile =>
  openFileIn(source.directory, overlayImageName, access, imagePath(source))

/** Closes the descriptor, and with it the lock, when `act` fails. */
const holding = <T>(fd: number, act: () => T): T => {
  try {
    return act()
  } catch (error) {
    closeSync(fd)
    throw error
  }
}

const openForWriting = (source: OverlaySource): OpenOverlay => {
  const path = imagePath(source)
  const image = openImage(source, 'write')
  return holding(image.fd, () => {
    lockImage(image.fd, 'exclusive', path)
    assertExt3(readSuperblock(image.fd))
    return { source, path, ...image, replay: undefined }
  })
}

/** The superblock is read under the lock: before it, a writer may come and crash. */
const openForReading = (source: OverlaySource): OpenOverlay => {
  const path = imagePath(source)
  const image = openImage(source, 'read')
  const clean = holding(image.fd, () => {
    lockImage(image.fd, 'shared', path)
    const superblock = readSuperblock(image.fd)
    assertExt3(superblock)
    return !superblock.needsRecovery
  })
  if (clean) return { source, path, ...image, replay: undefined }

  // The own shared lock would refuse the exclusive one.
  closeSync(image.fd)
  const { fd: replay } = openImage(source, 'write')
  return holding(replay, () => {
    lockImage(replay, 'exclusive', path)
    return { source, path, ...openImage(source, 'read'), replay }
  })
}

const explain = (source: OverlaySource, error: unknown): Error => {
  const cause = error instanceof Error ? error : new Error(String(error))
  if (!hasCode(error, 'ENOENT')) return new OverlayError(`overlay "${source.name}": ${cause.message}`, { cause })
  return new OverlayError(
    `overlay "${source.name}" has no ${overlayImageName} in its volume, although one was made there: restore it from a backup, or delete the PersistentOverlay and its PersistentVolumeClaim and make the overlay anew`,
    { cause },
  )
}

/**
 * Opens and locks every overlay through the host's mounts: as long as one is
 * open, the kubelet's unmount of the volume gets EBUSY and is tried again.
 *
 * @param waitMs how long the mount of a predecessor (a container restarted in place) may take to fall
 * @throws OverlayError
 */
export const openOverlays = (sources: readonly OverlaySource[], waitMs: number): OpenOverlay[] =>
  sources.map((source) => {
    try {
      return retrySync(
        () => (source.access === 'ReadWrite' ? openForWriting(source) : openForReading(source)),
        (error) => error instanceof LockHeldError,
        { forMs: waitMs, everyMs: 5 },
      )
    } catch (error) {
      throw explain(source, error)
    }
  })
