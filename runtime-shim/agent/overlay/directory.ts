import { closeSync, constants, fstatSync, openSync, readFileSync, statfsSync, writeFileSync } from 'node:fs'
import { BadImageError } from '../../mount/bad-image.ts'
import { hasCode } from '../../mount/error-code.ts'
import { identify } from '../../mount/image-file.ts'
import { lockFileName } from '../../mount/names.ts'
import { descriptorPath, type OpenFile, openDirectoryBelow, openRegularBelow } from '../../mount/open.ts'
import { NotExt3Error } from '../../mount/superblock.ts'
import { Trouble } from '../trouble.ts'
import { figuresOfDirectory } from './figures.ts'
import { importDirectory } from './import.ts'
import { lockWithin } from './lock.ts'
import type { Preparation, PreparedOverlay } from './preparation.ts'
import { makeFile, sweepStaging } from './publish.ts'
import { withinRoom } from './reserve.ts'

/** Overlays of format Directory. */

/** File systems that the kernel refuses as an overlay's upper layer, by `f_type` (statfs(2)). */
const unsuitable = new Map([
  [0x6969, 'NFS'],
  [0x65735546, 'FUSE'],
  [0xf15f, 'eCryptfs'],
  [0x0bd00bd0, 'Lustre'],
  [0x47504653, 'GPFS'],
  [0xaad7aaea, 'PanFS'],
  [0xff534d42, 'SMB'],
  [0xfe534d42, 'SMB'],
  [0x01021997, '9p'],
  [0x4d44, 'FAT'],
  [0x794c7630, 'overlayfs'],
])

const assertSuitable = (dirfd: number, { overlay }: Preparation): void => {
  const name = unsuitable.get(statfsSync(descriptorPath(dirfd)).type)
  if (name === undefined) return
  throw new Trouble(
    'OverlayVolumeUnsuitable',
    `overlay "${overlay}": its volume is ${name}, on which the kernel lets no overlay write: use format: Image in a new overlay, or a claim of another StorageClass`,
  )
}

const openTop = (volume: number, { overlay, path }: Preparation, what: string): number => {
  try {
    return openDirectoryBelow(volume, path, what)
  } catch (cause) {
    if (!hasCode(cause, 'ENOENT')) throw cause
    throw new Trouble(
      'OverlayMissing',
      `overlay "${overlay}": there is no directory ${path} in its volume: correct spec.storage.path in a new overlay, or make the directory`,
      { cause },
    )
  }
}

const openLock = (top: number, what: string): OpenFile | undefined => {
  try {
    return openRegularBelow(top, lockFileName, 'write', what)
  } catch (error) {
    if (hasCode(error, 'ENOENT')) return undefined
    throw error
  }
}

const openOrMakeLock = async (top: number, what: string, { overlay, skeleton }: Preparation): Promise<OpenFile> => {
  const present = openLock(top, what)
  if (present) return present
  await withinRoom({ overlay, directory: descriptorPath(top) }, () =>
    makeFile(top, lockFileName, async (fd) => writeFileSync(fd, readFileSync(skeleton))),
  )
  return openRegularBelow(top, lockFileName, 'write', what)
}

const assertSquashfs = (fd: number, { overlay }: Preparation): void => {
  try {
    if (identify(fd, fstatSync(fd).size).kind === 'squashfs') return
  } catch (error) {
    if (!(error instanceof BadImageError) && !(error instanceof NotExt3Error)) throw error
  }
  throw new Trouble(
    'OverlayUnsafe',
    `overlay "${overlay}": ${lockFileName} in its directory is not the squashfs that bears the lock: move it away to have it made`,
  )
}

const prepareIn = async (top: number, what: string, preparation: Preparation): Promise<PreparedOverlay> => {
  const { made, wasDamaged, lockWaitMs, access } = preparation
  const figures = (checked = false) => ({ figures: figuresOfDirectory(top), checked })
  if (made && access === 'ReadOnly') return figures()
  if (access === 'ReadWrite') assertSuitable(top, preparation)
  sweepStaging(top, lockFileName)
  const lock = await openOrMakeLock(top, `${lockFileName} in ${what}`, preparation)
  try {
    assertSquashfs(lock.fd, preparation)
    if (made && !wasDamaged) return figures()
    await lockWithin(lock.fd, what, lockWaitMs)
    await importDirectory({ fd: top, lock: lock.fd }, preparation)
    return figures(wasDamaged)
  } finally {
    closeSync(lock.fd)
  }
}

/** Lays the file down that bears the lock, and imports what is new here; `upper/` and `work/` come with the first mount. */
export const prepareDirectory = async (volume: string, preparation: Preparation): Promise<PreparedOverlay> => {
  const dirfd = openSync(volume, constants.O_RDONLY | constants.O_DIRECTORY)
  try {
    const what = preparation.path === '.' ? 'its volume' : `${preparation.path} in its volume`
    const top = openTop(dirfd, preparation, what)
    try {
      return await prepareIn(top, what, preparation)
    } finally {
      closeSync(top)
    }
  } finally {
    closeSync(dirfd)
  }
}
