import { closeSync, type Stats } from 'node:fs'
import { basename, dirname } from 'node:path'
import { LockHeldError, lockImage } from './lock.ts'
import { openFileIn } from './open.ts'
import { assertExt3, readSuperblock } from './superblock.ts'
import { hasCode } from './syscalls.ts'
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
export interface OpenOverlay {
  source: OverlaySource
  path: string
  fd: number
  stats: Stats
  /** Reader of an uncleanly unmounted image: open for writing under the exclusive lock, to replay the journal once. */
  replay: number | undefined
}

/** An overlay cannot be mounted; the message names it and what to do. */
export class OverlayError extends Error {
  override name = 'OverlayError'
}

/** Opens a read-only squashfs and takes the shared lock, which keeps garbage collection off. */
export const openSquashfs = (path: string): number => {
  const { fd } = openFileIn(dirname(path), basename(path), 'read', path)
  lockImage(fd, 'shared', path)
  return fd
}

const openOne = (source: OverlaySource): OpenOverlay => {
  const path = `${source.directory}/${overlayImageName}`
  const open = (access: 'read' | 'write') => openFileIn(source.directory, overlayImageName, access, path)
  const { fd, stats } = open(source.access === 'ReadWrite' ? 'write' : 'read')
  try {
    const superblock = readSuperblock(fd)
    assertExt3(superblock)
    if (source.access === 'ReadWrite') {
      lockImage(fd, 'exclusive', path)
      return { source, path, fd, stats, replay: undefined }
    }
    if (superblock.needsRecovery) {
      // A live writer's image has the flag too: its lock then refuses us.
      const { fd: replay } = open('write')
      lockImage(replay, 'exclusive', path)
      return { source, path, fd, stats, replay }
    }
    lockImage(fd, 'shared', path)
    return { source, path, fd, stats, replay: undefined }
  } catch (error) {
    closeSync(fd)
    throw error
  }
}

const explain = (source: OverlaySource, error: unknown): Error => {
  const cause = error instanceof Error ? error : new Error(String(error))
  const missing = hasCode(error, 'ENOENT')
    ? `has no ${overlayImageName} in its volume yet: delete the pod, and the controller prepares it anew`
    : cause.message
  return new OverlayError(`overlay "${source.name}": ${missing}`, { cause })
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
        () => openOne(source),
        (error) => error instanceof LockHeldError,
        { forMs: waitMs, everyMs: 5 },
      )
    } catch (error) {
      throw explain(source, error)
    }
  })
