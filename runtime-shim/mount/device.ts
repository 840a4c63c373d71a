import { closeSync, constants, fstatSync, openSync } from 'node:fs'
import { hasCode } from './error-code.ts'
import { LockHeldError } from './lock.ts'
import { descriptorPath, type OpenFile } from './open.ts'
import { type DeviceNumbers, OverlayError } from './parts.ts'
import { O_PATH } from './syscalls.ts'

/** Block volumes, mounted straight: the kernel lets one mount have a device for writing, or many for reading. */

/** `st_rdev` as glibc's makedev(3) packs it. */
const numbersOf = (rdev: bigint): DeviceNumbers => ({
  major: Number(((rdev >> 8n) & 0xfffn) | ((rdev >> 32n) & 0xffff_f000n)),
  minor: Number((rdev & 0xffn) | ((rdev >> 12n) & 0xffff_ff00n)),
})

/** @throws OverlayError */
export const assertNumbers = (
  stats: { rdev: bigint; isBlockDevice(): boolean },
  path: string,
  wanted: DeviceNumbers,
): void => {
  if (!stats.isBlockDevice()) throw new OverlayError(`${path} is not a block device`)
  const { major, minor } = numbersOf(stats.rdev)
  if (major === wanted.major && minor === wanted.minor) return
  throw new OverlayError(
    `${path} is block device ${major}:${minor}, and the container was given ${wanted.major}:${wanted.minor}`,
  )
}

/**
 * Opens the device that a trusted path leads to, if it has the numbers.
 *
 * @throws OverlayError
 */
export const openDevice = (path: string, wanted: DeviceNumbers, access: 'read' | 'write'): OpenFile => {
  const probe = openSync(path, O_PATH)
  try {
    const stats = fstatSync(probe, { bigint: true })
    assertNumbers(stats, path, wanted)
    const fd = openSync(descriptorPath(probe), access === 'write' ? constants.O_RDWR : constants.O_RDONLY)
    return { fd, stats }
  } finally {
    closeSync(probe)
  }
}

/** Whether a mount, or anything else that claims it, has the device (open(2), O_EXCL on block devices). */
export const isClaimed = (fd: number): boolean => {
  try {
    closeSync(openSync(descriptorPath(fd), constants.O_RDONLY | constants.O_EXCL))
    return false
  } catch (error) {
    if (hasCode(error, 'EBUSY')) return true
    throw error
  }
}

/** @throws LockHeldError */
export const assertUnclaimed = (fd: number, path: string): void => {
  if (isClaimed(fd)) throw new LockHeldError(`${path} is in use by another mount on this node`)
}
