import { randomUUID } from 'node:crypto'
import {
  closeSync,
  constants,
  existsSync,
  fstatSync,
  fsync,
  linkSync,
  openSync,
  readdirSync,
  renameSync,
  rmSync,
  unlinkSync,
} from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import { promisify } from 'node:util'
import { hasCode } from '../../mount/error-code.ts'
import { overlayImageName } from '../../mount/images.ts'
import { LockHeldError, lockImage } from '../../mount/lock.ts'
import { descriptorPath, openBelow, openRegularBelow, UnsafePathError } from '../../mount/open.ts'
import { assertExt3, type Figures, figuresOf, NotExt3Error, readSuperblock } from '../../mount/superblock.ts'
import { Trouble } from '../trouble.ts'
import { mebibytes, reserve } from './reserve.ts'
import { runOnImage, ToolError } from './tools.ts'

export interface Preparation {
  /** For messages. */
  overlay: string
  /** Directory of the volume, as the agent sees it. */
  directory: string
  /** Bytes that the image is to have; a larger one stays as it is. */
  size: number
  /** What it is prepared for; for a reader only a missing image is made. */
  access: 'ReadWrite' | 'ReadOnly'
  onProgress(line: string): void
  /** How long another's lock on the image may last. */
  lockWaitMs?: number
}

export interface PreparedOverlay {
  figures: Figures
  /** Whether e2fsck went over it. */
  checked: boolean
}

const stagingPrefix = `.${overlayImageName}.`
const sync = promisify(fsync)

/** Files of an earlier preparation that was cut off; one that is under way on another node is locked. */
const sweepStaging = (dirfd: number): void => {
  const dir = descriptorPath(dirfd)
  for (const name of readdirSync(dir).filter((each) => each.startsWith(stagingPrefix))) {
    const { fd } = openRegularBelow(dirfd, name, 'write', name)
    try {
      lockImage(fd, 'exclusive', name)
      unlinkSync(`${dir}/${name}`)
    } catch (error) {
      if (!(error instanceof LockHeldError)) throw error
    } finally {
      closeSync(fd)
    }
  }
}

/**
 * Features of plain ext3, so that Apptainer opens it too. `nodiscard` keeps the
 * blocks that were reserved; the tool runs as nobody, so the root's owner is named.
 */
const mkfsOptions = ['-F', '-q', '-b', '4096', '-m', '0', '-E', 'nodiscard,root_owner=0:0']

const format = async (fd: number, overlay: string): Promise<void> => {
  try {
    await runOnImage(fd, 'mkfs.ext3', mkfsOptions)
  } catch (cause) {
    if (!(cause instanceof ToolError)) throw cause
    throw new Trouble('OverlayNotMade', `overlay "${overlay}": ${cause.message}`, { cause })
  }
}

/**
 * The finished image gets its name only if nothing has it: another node may have
 * made one meanwhile, and a foreign file is not replaced. Where the volume's file
 * system has no hard links, the last look is a moment before.
 */
const publish = (dir: string, staging: string): void => {
  const [from, to] = [`${dir}/${staging}`, `${dir}/${overlayImageName}`]
  try {
    linkSync(from, to)
  } catch (error) {
    const hasNoLinks = hasCode(error, 'EPERM', 'ENOTSUP', 'ENOSYS', 'EMLINK')
    if (!hasNoLinks && !hasCode(error, 'EEXIST')) throw error
    if (hasNoLinks && !existsSync(to)) {
      renameSync(from, to)
      return
    }
  }
  unlinkSync(from)
}

/** Made under another name, synced, then named: a crash leaves no image or a whole one. */
const make = async (dirfd: number, { overlay, directory, size, onProgress }: Preparation): Promise<void> => {
  onProgress(`overlay "${overlay}": making an ext3 file system of ${mebibytes(size)}`)
  sweepStaging(dirfd)
  const dir = descriptorPath(dirfd)
  const staging = `${stagingPrefix}${randomUUID()}`
  const flags = constants.O_RDWR | constants.O_CREAT | constants.O_EXCL
  const fd = openBelow(dirfd, staging, flags, staging, 0o600)
  try {
    lockImage(fd, 'exclusive', staging)
    await reserve(fd, size, { overlay, directory })
    await format(fd, overlay)
    await sync(fd)
    publish(dir, staging)
  } catch (error) {
    rmSync(`${dir}/${staging}`, { force: true })
    throw error
  } finally {
    closeSync(fd)
  }
  await sync(dirfd)
}

const check = async (fd: number, { overlay, onProgress }: Preparation): Promise<void> => {
  onProgress(`overlay "${overlay}": checking the file system`)
  try {
    await runOnImage(fd, 'e2fsck', ['-p', '-f'], { accepted: [0, 1], onLine: onProgress })
  } catch (cause) {
    if (!(cause instanceof ToolError)) throw cause
    throw new Trouble(
      'OverlayDamaged',
      `overlay "${overlay}" has errors that e2fsck -p does not mend: back its volume up, then run e2fsck on ${overlayImageName} there by hand. ${cause.message}`,
      { cause },
    )
  }
}

const grow = async (fd: number, { overlay, size, onProgress }: Preparation): Promise<void> => {
  onProgress(`overlay "${overlay}": growing to ${mebibytes(size)}`)
  try {
    await runOnImage(fd, 'resize2fs', [])
  } catch (cause) {
    if (!(cause instanceof ToolError)) throw cause
    throw new Trouble('OverlayNotGrown', `overlay "${overlay}": ${cause.message}`, { cause })
  }
  await sync(fd)
}

/** Offline growth asks for a check before it; so do errors that the kernel noted. */
const checkAndGrow = async (fd: number, preparation: Preparation): Promise<PreparedOverlay> => {
  const before = readSuperblock(fd)
  assertExt3(before)
  const size = Math.max(preparation.size, fstatSync(fd).size)
  await reserve(fd, size, preparation)
  const smaller = (before.blocks + 1) * before.blockSize <= size
  const checked = smaller || before.errorCount > 0
  if (checked) await check(fd, preparation)
  if (smaller) await grow(fd, { ...preparation, size })
  return { figures: figuresOf(readSuperblock(fd)), checked }
}

const lock = async (fd: number, path: string, waitMs: number): Promise<void> => {
  const deadline = performance.now() + waitMs
  for (;;) {
    try {
      return lockImage(fd, 'exclusive', path)
    } catch (error) {
      if (!(error instanceof LockHeldError) || performance.now() > deadline) throw error
    }
    await sleep(50)
  }
}

const openOrMake = async (dirfd: number, preparation: Preparation): Promise<number> => {
  const path = `${preparation.directory}/${overlayImageName}`
  const open = () => openRegularBelow(dirfd, overlayImageName, 'write', path).fd
  try {
    return open()
  } catch (error) {
    if (!hasCode(error, 'ENOENT')) throw error
  }
  await make(dirfd, preparation)
  return open()
}

const prepareIn = async (dirfd: number, preparation: Preparation): Promise<PreparedOverlay> => {
  const fd = await openOrMake(dirfd, preparation)
  try {
    if (preparation.access === 'ReadOnly') return { figures: figuresOf(readSuperblock(fd)), checked: false }
    await lock(fd, `${preparation.directory}/${overlayImageName}`, preparation.lockWaitMs ?? 30_000)
    return await checkAndGrow(fd, preparation)
  } finally {
    closeSync(fd)
  }
}

const explain = (overlay: string, error: unknown): unknown => {
  if (error instanceof LockHeldError)
    return new Trouble('OverlayInUse', `overlay "${overlay}": ${error.message}`, { cause: error })
  if (error instanceof UnsafePathError)
    return new Trouble('OverlayUnsafe', `overlay "${overlay}": ${error.message}`, { cause: error })
  if (error instanceof NotExt3Error)
    return new Trouble(
      'OverlayNotExt3',
      `overlay "${overlay}": ${overlayImageName} in its volume is not an overlay image (${error.message}); it is left as it is: move it away to have a new one made`,
      { cause: error },
    )
  return error
}

/**
 * Makes the overlay's image where there is none; for a writer also grows it where
 * it is smaller than asked, and checks it where the kernel noted errors. Never
 * formats a file that is there. One at a time for an overlay and node.
 *
 * @throws Trouble in words for the user
 */
export const prepareOverlay = async (preparation: Preparation): Promise<PreparedOverlay> => {
  const dirfd = openSync(preparation.directory, constants.O_RDONLY | constants.O_DIRECTORY)
  try {
    return await prepareIn(dirfd, preparation)
  } catch (error) {
    throw explain(preparation.overlay, error)
  } finally {
    closeSync(dirfd)
  }
}
