import { type BigIntStats, closeSync, fstatSync } from 'node:fs'
import { join } from 'node:path'
import { BadImageError } from './bad-image.ts'
import { holding } from './descriptor.ts'
import { assertUnclaimed, isClaimed, openDevice } from './device.ts'
import { hasCode } from './error-code.ts'
import { identify, overlayLayer } from './image-file.ts'
import { LockHeldError, lockImage } from './lock.ts'
import { lockFileName } from './names.ts'
import {
  type OpenFile,
  openBelow,
  openDirectoryBelow,
  openFileOrDirectoryBelow,
  openRegularBelow,
  withDetachedDirectory,
  withDirectory,
} from './open.ts'
import {
  type ImageLayer,
  type JournalOfReader,
  type OpenOverlay,
  OverlayDamagedError,
  OverlayError,
  type OverlaySource,
  type OverlayVolume,
} from './parts.ts'
import { assertExt3, NotExt3Error, readSuperblock, type Superblock } from './superblock.ts'
import { O_PATH } from './syscalls.ts'
import { deviceSize, type Undertaking, undertakingIn, undertakingName, undertakingOn } from './undertaking.ts'
import { retrySync } from './wait.ts'

type DirectoryVolume = Extract<OverlayVolume, { kind: 'directory' }>
type DeviceVolume = Extract<OverlayVolume, { kind: 'device' }>

/** What its owner knows it by: the host's path says nothing to him. */
const shownOf = ({ volume, path }: OverlaySource): string => {
  if (volume.kind === 'device') return 'its device'
  return path === '.' ? 'its volume' : `${path} in its volume`
}

const openPath = ({ path }: DirectoryVolume, source: OverlaySource, access: 'read' | 'write'): OpenFile => {
  const within = access === 'read' ? withDetachedDirectory : withDirectory
  return within(path, (dirfd) => openFileOrDirectoryBelow(dirfd, source.path, access, shownOf(source)))
}

/** To be called under the lock: before it, the node agent may have let the file grow. */
const layerIn = (fd: number): ImageLayer => overlayLayer(fd, fstatSync(fd).size)

const notWritable = (shown: string, what: string): OverlayError =>
  new OverlayError(`${shown} is a ${what}, which cannot be written: use it with access ReadOnly`)

/** A mount for writing would make it worse. */
const assertNoErrors = ({ errorCount }: Superblock): void => {
  if (errorCount > 0)
    throw new BadImageError(`the kernel noted ${errorCount} errors in its file system, which is to be checked first`)
}

/** To be called under the lock, which whoever lets it grow has. A writer's pod is made again, and e2fsck mends it before. */
const assertNotCutOff = ({ access }: OverlaySource, undertaking: Undertaking | undefined): void => {
  if (undertaking !== 'growing') return
  const what = 'its growth was cut off'
  if (access === 'ReadWrite') throw new BadImageError(`${what}, and it is to be checked first`)
  throw new OverlayError(
    `${what}, and only a writer mends that: start an instance that has it ReadWrite first, and stop that again`,
  )
}

const undertakingOf = ({ uid }: OverlaySource, volume: DirectoryVolume): Undertaking | undefined =>
  withDirectory(volume.path, (dirfd) => undertakingIn(dirfd, undertakingName, uid))

const openForWriting = (source: OverlaySource, volume: DirectoryVolume): OpenOverlay => {
  const [path, shown] = [join(volume.path, source.path), shownOf(source)]
  const file = openPath(volume, source, 'write')
  return holding(file.fd, () => {
    if (file.stats.isDirectory()) throw notWritable(shown, 'directory without a lock (format Image)')
    lockImage(file.fd, 'exclusive', shown)
    const { kind, extent } = layerIn(file.fd)
    if (kind === 'squashfs') throw notWritable(shown, 'squashfs')
    assertNoErrors(readSuperblock(file.fd, extent.offset))
    assertNotCutOff(source, undertakingOf(source, volume))
    return { source, path, shown, ...file, content: { kind, extent, journal: { kind: 'none' } } }
  })
}

/** What was found in the one must hold for the others. */
const assertSame = (shown: string, first: BigIntStats, ...others: BigIntStats[]): void => {
  if (others.some(({ dev, ino }) => dev !== first.dev || ino !== first.ino))
    throw new OverlayError(`${shown} is no longer the file that it was a moment before`)
}

/** Others look at the superblock for a moment, too. */
const looks = { forMs: 500, everyMs: 5 }

/** Undefined when another reader has it mounted: what can be done about its journal has been done. */
const lockToReplay = (source: OverlaySource, volume: DirectoryVolume): OpenFile | undefined => {
  const file = openPath(volume, source, 'write')
  try {
    retrySync(
      () => lockImage(file.fd, 'exclusive', shownOf(source)),
      (error) => error instanceof LockHeldError,
      looks,
    )
    return file
  } catch (error) {
    closeSync(file.fd)
    if (error instanceof LockHeldError) return undefined
    throw error
  }
}

/** The superblock is read under the lock: before it, a writer may come and crash. */
const openForReading = (source: OverlaySource, volume: DirectoryVolume): OpenOverlay => {
  const [path, shown] = [join(volume.path, source.path), shownOf(source)]
  const file = openPath(volume, source, 'read')
  if (file.stats.isDirectory()) return { source, path, shown, ...file, content: { kind: 'plainDirectory' } }
  const { kind, extent, superblock } = holding(file.fd, () => {
    lockImage(file.fd, 'shared', shown)
    assertNotCutOff(source, undertakingOf(source, volume))
    const layer = layerIn(file.fd)
    return { ...layer, superblock: layer.kind === 'ext3' ? readSuperblock(file.fd, layer.extent.offset) : undefined }
  })
  if (kind === 'squashfs') return { source, path, shown, ...file, content: { kind, extent } }
  const found = (journal: JournalOfReader): OpenOverlay['content'] => ({ kind, extent, journal })
  if (!superblock?.needsRecovery) return { source, path, shown, ...file, content: found({ kind: 'none' }) }
  if (superblock.errorCount > 0) return { source, path, shown, ...file, content: found({ kind: 'leave' }) }

  // The own shared lock would refuse the exclusive one.
  closeSync(file.fd)
  const replay = lockToReplay(source, volume)
  const again = openPath(volume, source, 'read')
  return holding(again.fd, () => {
    if (replay)
      return holding(replay.fd, () => {
        assertSame(shown, file.stats, again.stats, replay.stats)
        return { source, path, shown, ...again, content: found({ kind: 'replay', fd: replay.fd }) }
      })
    lockImage(again.fd, 'shared', shown)
    assertSame(shown, file.stats, again.stats)
    return { source, path, shown, ...again, content: found({ kind: 'none' }) }
  })
}

/** The lock's file needs to be open for writing to be locked exclusively. */
const openLockFile = (source: OverlaySource, volume: DirectoryVolume, directory: number, what: string): OpenFile =>
  source.access === 'ReadWrite'
    ? openRegularBelow(directory, lockFileName, 'write', what)
    : withDetachedDirectory(volume.path, (dirfd) =>
        openRegularBelow(dirfd, join(source.path, lockFileName), 'read', what),
      )

/** Of format Directory. */
const openDirectory = (source: OverlaySource, volume: DirectoryVolume): OpenOverlay => {
  const [path, shown] = [join(volume.path, source.path), shownOf(source)]
  const directory = withDirectory(volume.path, (dirfd) => openDirectoryBelow(dirfd, source.path, shown))
  return holding(directory, () => {
    const what = `${join(source.path, lockFileName)} in its volume`
    const file = openLockFile(source, volume, directory, what)
    return holding(file.fd, () => {
      lockImage(file.fd, source.access === 'ReadWrite' ? 'exclusive' : 'shared', shown)
      if (identify(file.fd, Number(file.stats.size)).kind !== 'squashfs')
        throw new BadImageError(`its ${lockFileName} is not a squashfs`, 'let the node agent prepare the overlay again')
      return { source, path, shown, ...file, content: { kind: 'directory', directory } }
    })
  })
}

/**
 * Whoever has it mounted for writing has marked the superblock as in need of
 * recovery; readers have not. The mount itself is the last judge.
 */
const openBlock = (source: OverlaySource, { mapPath: path, major, minor }: DeviceVolume): OpenOverlay => {
  if (source.format === 'Directory') throw new OverlayError('format Directory needs a volume with a file system')
  const shown = shownOf(source)
  const device = openDevice(path, { major, minor }, source.access === 'ReadWrite' ? 'write' : 'read')
  return holding(device.fd, () => {
    if (source.access === 'ReadWrite') assertUnclaimed(device.fd, shown)
    const superblock = readSuperblock(device.fd)
    if (superblock.needsRecovery && isClaimed(device.fd))
      throw new LockHeldError(`${shown} is in use for writing by another mount on this node`)
    assertExt3(superblock)
    if (source.access === 'ReadWrite') assertNoErrors(superblock)
    assertNotCutOff(source, undertakingOn(device.fd, deviceSize({ major, minor }), source.uid))
    return { source, path, shown, ...device, content: { kind: 'device', major, minor } }
  })
}

const open = (source: OverlaySource): OpenOverlay => {
  if (source.volume.kind === 'device') return openBlock(source, source.volume)
  if (source.format === 'Directory') return openDirectory(source, source.volume)
  return source.access === 'ReadWrite' ? openForWriting(source, source.volume) : openForReading(source, source.volume)
}

/** Whether e2fsck is to judge it: a writer's image can be nothing but an ext3 file system. */
const isForCheck = ({ access, format }: OverlaySource, cause: Error): boolean =>
  cause instanceof NotExt3Error || (cause instanceof BadImageError && access === 'ReadWrite' && format === 'Image')

const insteadOfIt = 'restore it from a backup, or make another overlay'

const explain = (source: OverlaySource, error: unknown): Error => {
  const { name, format, path, volume } = source
  const cause = error instanceof Error ? error : new Error(String(error))
  if (isForCheck(source, cause))
    return new OverlayDamagedError(source, volume.kind === 'device' ? cause.message : `${path}: ${cause.message}`, {
      cause,
    })
  if (cause instanceof BadImageError) {
    const remedy = cause.remedy === undefined ? `: ${insteadOfIt}` : ''
    return new OverlayError(`overlay "${name}": ${shownOf(source)}: ${cause.message}${remedy}`, { cause })
  }
  if (hasCode(error, 'EROFS')) {
    return new OverlayError(
      `overlay "${name}": ${shownOf(source)} cannot be written, its volume is read-only here: use it with access ReadOnly (after an unclean end it must be written once before)`,
      { cause },
    )
  }
  if (volume.kind === 'device' || !hasCode(error, 'ENOENT'))
    return new OverlayError(`overlay "${name}": ${cause.message}`, { cause })
  const what = format === 'Directory' ? join(path, lockFileName) : path
  return new OverlayDamagedError(source, `there is no ${what} in its volume, although one was there: ${insteadOfIt}`, {
    cause,
  })
}

/** What the source leads to, undefined where it leads nowhere: opening it will tell. */
const identityOf = ({ volume, path }: OverlaySource): string | undefined => {
  if (volume.kind === 'device') return `${volume.major}:${volume.minor}`
  try {
    return withDirectory(volume.path, (dirfd) => {
      const fd = openBelow(dirfd, path, O_PATH, path)
      const { dev, ino } = fstatSync(fd, { bigint: true })
      closeSync(fd)
      return `${dev} ${ino}`
    })
  } catch {
    return undefined
  }
}

/** Our own locks would let it be read twice, and let a second use wait for the first for ever. */
const assertCompatible = (sources: readonly OverlaySource[]): void => {
  const writers = sources.filter(({ access }) => access === 'ReadWrite').map(({ name }) => `"${name}"`)
  if (writers.length > 1)
    throw new OverlayError(`overlays ${writers.join(' and ')}: only one overlay can be ReadWrite, and it lies on top`)
  const seen = new Map<string, string>()
  for (const source of sources) {
    const identity = identityOf(source)
    if (identity === undefined) continue
    const other = seen.get(identity)
    if (other !== undefined)
      throw new OverlayError(`overlays "${other}" and "${source.name}" are the same ${source.path}: use it once`)
    seen.set(identity, source.name)
  }
}

const openWaiting = (source: OverlaySource, waitMs: number): OpenOverlay => {
  try {
    return retrySync(
      () => open(source),
      (error) => error instanceof LockHeldError,
      { forMs: waitMs, everyMs: 5 },
    )
  } catch (error) {
    throw explain(source, error)
  }
}

/**
 * Opens and locks every overlay. A writer's is opened through the host's mount:
 * as long as it is open, the kubelet's unmount of the volume gets EBUSY and is
 * tried again, until all is on disk.
 *
 * @param waitMs how long the mount of a predecessor (a container restarted in place) may take to fall
 * @throws OverlayError
 */
export const openOverlays = (sources: readonly OverlaySource[], waitMs: number): OpenOverlay[] => {
  if (sources.length > 1) assertCompatible(sources)
  return sources.map((source) => openWaiting(source, waitMs))
}
