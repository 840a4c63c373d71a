import { closeSync, constants, fstatSync, openSync } from 'node:fs'
import { basename, dirname, join } from 'node:path'
import type { Target } from '../../../runtime-shim/agent/overlay/preparation.ts'
import { superblockCopy } from '../../../runtime-shim/agent/overlay/superblock-copy.ts'
import { noteInDirectory } from '../../../runtime-shim/agent/overlay/undertaking.ts'
import { BadImageError } from '../../../runtime-shim/mount/bad-image.ts'
import { hasCode } from '../../../runtime-shim/mount/error-code.ts'
import { overlayLayer } from '../../../runtime-shim/mount/image-file.ts'
import { LockHeldError, lockImage } from '../../../runtime-shim/mount/lock.ts'
import type { Extent } from '../../../runtime-shim/mount/parts.ts'
import { NotExt3Error } from '../../../runtime-shim/mount/superblock.ts'
import { Refusal } from '../../shared/refusal.ts'
import type { Layout } from '../layout.ts'
import { realPathOf } from '../root/base.ts'
import { growthNote } from './growth-note.ts'
import { holderOf } from './holder.ts'

/** An overlay's file, open and locked, for what is done to its file system while nobody uses it. */

const open = (path: string, shown: string, access: 'read' | 'write'): number => {
  try {
    const fd = openSync(path, (access === 'read' ? constants.O_RDONLY : constants.O_RDWR) | constants.O_NONBLOCK)
    if (fstatSync(fd).isFile()) return fd
    closeSync(fd)
  } catch (error) {
    if (hasCode(error, 'EACCES', 'EPERM')) throw new Refusal(`could not open overlay ${shown}: permission denied`)
    if (hasCode(error, 'EROFS')) throw new Refusal(`${shown} lies on a read-only file system`)
    if (!hasCode(error, 'EISDIR')) throw error
  }
  throw new Refusal(`${shown} is no file: give an ext3 image`)
}

const lock = (
  fd: number,
  { path, shown, access }: { path: string; shown: string; access: 'read' | 'write' },
  layout: Layout,
): void => {
  try {
    lockImage(fd, access === 'read' ? 'shared' : 'exclusive', shown)
  } catch (error) {
    if (!(error instanceof LockHeldError)) throw error
    const holder = holderOf(path, fstatSync(fd), layout) ?? 'another process'
    throw new Refusal(`${shown} is in use by ${holder}: end that first`)
  }
}

/** Of a file whose superblock is lost, all of it, where there is a copy of that: e2fsck begins with it. */
const extentOf = (fd: number, shown: string): Extent => {
  const { size } = fstatSync(fd)
  try {
    const { kind, extent } = overlayLayer(fd, size)
    if (kind === 'ext3') return extent
  } catch (error) {
    if (!(error instanceof BadImageError || error instanceof NotExt3Error)) throw error
    if (error instanceof BadImageError && superblockCopy(fd)) return { offset: 0, size }
    throw new Refusal(`${shown} is no ext3 overlay: ${error.message}. If it was one, restore it from a copy`)
  }
  throw new Refusal(`${shown} is a squashfs, which is never written: there is nothing to check or to make larger`)
}

const targetOf = (fd: number, shown: string, path: string, dirfd: number): Target => ({
  fd,
  extent: extentOf(fd, shown),
  what: shown,
  directory: dirname(path),
  growsTo: undefined,
  undertaking: noteInDirectory(dirfd, growthNote(basename(path)), basename(path)),
})

/**
 * Runs `act` with the overlay while nobody else has it: nobody who writes, for `read`.
 *
 * @throws Refusal
 */
export const withOverlay = async <T>(
  shown: string,
  access: 'read' | 'write',
  layout: Layout,
  act: (target: Target) => Promise<T>,
): Promise<T> => {
  const path = realPathOf(shown, 'overlay')
  const fd = open(path, shown, access)
  const dirfd = openSync(join(dirname(path)), constants.O_RDONLY | constants.O_DIRECTORY)
  try {
    lock(fd, { path, shown, access }, layout)
    return await act(targetOf(fd, shown, path, dirfd))
  } finally {
    closeSync(dirfd)
    closeSync(fd)
  }
}
