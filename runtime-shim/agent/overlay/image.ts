import { closeSync, constants, fstatSync, ftruncateSync, openSync } from 'node:fs'
import { mebibytes } from '../../../kube/quantity.ts'
import { BadImageError } from '../../mount/bad-image.ts'
import { hasCode } from '../../mount/error-code.ts'
import { overlayLayer } from '../../mount/image-file.ts'
import { LockHeldError, lockImage } from '../../mount/lock.ts'
import { overlayImageName } from '../../mount/names.ts'
import { type OpenFile, openFileOrDirectoryBelow } from '../../mount/open.ts'
import type { ImageLayer } from '../../mount/parts.ts'
import { NotExt3Error } from '../../mount/superblock.ts'
import { undertakingName } from '../../mount/undertaking.ts'
import { Trouble } from '../trouble.ts'
import { insteadOfTheLost, whileCopied } from './advice.ts'
import { figuresOfDirectory, figuresOfSquashfs } from './figures.ts'
import { format } from './format.ts'
import { lockWithin, within } from './lock.ts'
import type { Preparation, PreparedOverlay, Target } from './preparation.ts'
import { makeFile, sweepStaging } from './publish.ts'
import { reserve, withinRoom } from './reserve.ts'
import { superblockCopy } from './superblock-copy.ts'
import { figuresOfExt3, tend } from './tend.ts'
import { giveBack } from './tools.ts'
import { noNote, noteInDirectory } from './undertaking.ts'

/** Overlays of format Image in a volume with a file system. */

interface Volume {
  directory: string
  /** Of the directory. */
  dirfd: number
}

/** @returns whether the image that is there now is ours: another node may have made one meanwhile */
const make = async ({ dirfd, directory }: Volume, preparation: Preparation): Promise<boolean> => {
  const { overlay, size, ext3, onProgress } = preparation
  const isSparse = ext3.allocation === 'Sparse'
  onProgress(`overlay "${overlay}": making an ext3 file system of ${mebibytes(size)}`)
  const where = { overlay, directory }
  return withinRoom(where, () =>
    makeFile(dirfd, overlayImageName, async (fd) => {
      if (isSparse) ftruncateSync(fd, size)
      else await reserve(fd, size, where)
      await format({ fd }, size, preparation)
      // The tool gives blocks back that it would have filled with zeros.
      if (!isSparse) await reserve(fd, size, where)
    }),
  )
}

const missing = (preparation: Preparation): Trouble => {
  const { overlay, path, made } = preparation
  return new Trouble(
    'OverlayMissing',
    made
      ? `overlay "${overlay}" has no ${path} in its volume, although one was there: ${insteadOfTheLost(preparation)}`
      : `overlay "${overlay}": there is no ${path} in its volume: correct spec.storage.path in a new overlay, or put the image there`,
  )
}

interface Found extends OpenFile {
  isNew: boolean
}

const openOrMake = async (volume: Volume, preparation: Preparation): Promise<Found> => {
  const { made, existing, path, lockWaitMs } = preparation
  const what = `${path} in its volume`
  const open = (): OpenFile => openFileOrDirectoryBelow(volume.dirfd, path, 'write', what)
  const openIfThere = (): OpenFile | undefined => {
    try {
      return open()
    } catch (error) {
      if (hasCode(error, 'ENOENT')) return undefined
      throw error
    }
  }
  const canBeMade = !made && !existing
  const present = await within(lockWaitMs, () => {
    const underWay = sweepStaging(volume.dirfd, overlayImageName)
    const found = openIfThere()
    if (!found && canBeMade && underWay > 0) throw new LockHeldError('another preparation of its image is under way')
    return found
  })
  if (present) return { ...present, isNew: false }
  if (!canBeMade) throw missing(preparation)
  const isNew = await make(volume, preparation)
  return { ...open(), isNew }
}

const defaultStillAfterMs = 60_000

/** By the time that nobody can set: copies get that of their original when they are done. */
const isStill = (fd: number, { stillAfterMs = defaultStillAfterMs, ownWritesUntil = 0 }: Preparation): boolean => {
  const { ctimeMs } = fstatSync(fd)
  return ctimeMs <= ownWritesUntil || Date.now() - ctimeMs >= stillAfterMs
}

const incomplete = (preparation: Preparation, what: string, options?: ErrorOptions): Trouble => {
  const { overlay, path } = preparation
  const why = `${path} in its volume ${what}, ${whileCopied(preparation)}`
  return new Trouble('OverlayIncomplete', `overlay "${overlay}": ${why}`, options)
}

/**
 * The layer of a file, as the mount takes it; one that was made here may have lost its superblock, of which e2fsck
 * knows copies, and one that a user brings may not be whole yet.
 */
const layerIn = (fd: number, preparation: Preparation): ImageLayer => {
  const { made, existing } = preparation
  const { size } = fstatSync(fd)
  try {
    return overlayLayer(fd, size)
  } catch (error) {
    if (!(error instanceof BadImageError || error instanceof NotExt3Error)) throw error
    if (error instanceof BadImageError && made && !existing && superblockCopy(fd))
      return { kind: 'ext3', extent: { offset: 0, size } }
    if (made || isStill(fd, preparation)) throw error
    throw incomplete(preparation, `is not an overlay yet (${error.message})`, { cause: error })
  }
}

/**
 * What a user brings is written to only when nobody else does: to an image that is being copied over another one, or
 * with its blocks set aside beforehand, the superblock comes first.
 */
const assertCopied = (fd: number, preparation: Preparation): void => {
  const { existing, made } = preparation
  if (existing && !made && !isStill(fd, preparation))
    throw incomplete(preparation, 'looks like an overlay, but may not be whole yet')
}

/** Readers share it: what another instance reads has been prepared, and what Apptainer reads can wait. */
const isLocked = (fd: number, path: string): boolean => {
  try {
    lockImage(fd, 'exclusive', path)
    return false
  } catch (error) {
    if (error instanceof LockHeldError) return true
    throw error
  }
}

const figuresAlone = (fd: number, preparation: Preparation): PreparedOverlay => {
  const { kind, extent } = layerIn(fd, preparation)
  const figures = kind === 'squashfs' ? figuresOfSquashfs(fd, extent) : figuresOfExt3({ fd, extent })
  return { figures, checked: false }
}

const readOnly = ({ overlay, path }: Preparation, what: string): Trouble =>
  new Trouble('OverlayReadOnly', `overlay "${overlay}": ${path} is ${what}`)

const prepareFile = async (file: Found, volume: Volume, preparation: Preparation): Promise<PreparedOverlay> => {
  const { fd, isNew } = file
  const { uid, access, path, existing, size } = preparation
  const { kind, extent } = layerIn(fd, preparation)
  if (kind === 'squashfs') {
    if (access === 'ReadOnly') return { figures: figuresOfSquashfs(fd, extent), checked: false }
    throw readOnly(preparation, 'a squashfs, which cannot be written: use it with access ReadOnly')
  }
  assertCopied(fd, preparation)
  giveBack(fd)
  const grows = !existing && extent.offset === 0 && extent.size === fstatSync(fd).size
  const target: Target = {
    ...{ fd, extent, what: path, directory: volume.directory },
    growsTo: grows ? Math.max(size, extent.size) : undefined,
    undertaking: grows ? noteInDirectory(volume.dirfd, undertakingName, uid) : noNote,
  }
  return isNew ? { figures: figuresOfExt3(target), checked: false } : tend(target, preparation)
}

const prepareIn = async (volume: Volume, preparation: Preparation): Promise<PreparedOverlay> => {
  const { access, path, made, lockWaitMs } = preparation
  const file = await openOrMake(volume, preparation)
  const what = `${path} in its volume`
  try {
    if (file.stats.isDirectory()) {
      if (access === 'ReadOnly') return { figures: figuresOfDirectory(file.fd), checked: false }
      throw readOnly(
        preparation,
        'a directory, to which format: Image does not write: use it with access ReadOnly, or make a new overlay with format: Directory',
      )
    }
    if (access === 'ReadOnly' && made) return figuresAlone(file.fd, preparation)
    if (access === 'ReadOnly' && isLocked(file.fd, what)) return { ...figuresAlone(file.fd, preparation), inUse: true }
    await lockWithin(file.fd, what, lockWaitMs)
    return await prepareFile(file, volume, preparation)
  } finally {
    closeSync(file.fd)
  }
}

/**
 * Makes the image where there is none; looks over and imports what is new here; for
 * a writer also grows it where it is smaller than asked. Never formats a file that
 * is there.
 */
export const prepareImage = async (directory: string, preparation: Preparation): Promise<PreparedOverlay> => {
  const dirfd = openSync(directory, constants.O_RDONLY | constants.O_DIRECTORY)
  try {
    return await prepareIn({ directory, dirfd }, preparation)
  } finally {
    closeSync(dirfd)
  }
}
