import { closeSync, fstatSync, mkdirSync } from 'node:fs'
import { basename, join } from 'node:path'
import { assertUnclaimed } from './device.ts'
import { hasCode, shortly } from './error-code.ts'
import { LockHeldError, lockImage } from './lock.ts'
import { attachLoop, isAttached, type LoopAccess, type LoopAttachment, type LoopFile, withSharedLoop } from './loop.ts'
import { withNamedLock } from './named-lock.ts'
import { lockFileName } from './names.ts'
import { descriptorPath, openDirectoryBelow, withDirectory } from './open.ts'
import {
  type DeviceNumbers,
  type Extent,
  type ImageLayer,
  type OpenOverlay,
  type OverlayContent,
  OverlayDamagedError,
  OverlayError,
} from './parts.ts'
import { readSuperblock } from './superblock.ts'
import { mount, mountComplaint, mountFlags, umount } from './syscalls.ts'
import { retrySync } from './wait.ts'

/** Mounts single images, devices and directories; {@link ./root.ts} makes one root of them. */

/**
 * ext3's options. Never `discard`: it would undo the image's allocation. An image
 * whose superblock says "panic on errors" must not take the node down.
 */
const ext3Options = 'errors=remount-ro,data_err=abort'
const readOnlyExt3Options = 'errors=remount-ro'

/** The ext4 driver mounts ext3 and sets no feature bit; its delayed allocation writes faster. */
const ext3Driver = 'ext4'

const readOnlyLayer = mountFlags.readOnly | mountFlags.nodev

export const isWriter = ({ source }: OpenOverlay): boolean => source.access === 'ReadWrite'

interface Image {
  fd: number
  path: string
  /** For messages. */
  shown: string
}

const loopFile = (
  { fd, path }: Pick<Image, 'fd' | 'path'>,
  { extent }: Pick<ImageLayer, 'extent'>,
  lockDir: string,
): LoopFile => ({
  fd,
  name: basename(path),
  extent,
  lockDir,
})

/** mount(2) has one number for an unknown compressor and for damage; the kernel's words tell them apart. */
const explainSquashfs = (device: string, { shown }: Image, cause: unknown): Error => {
  const complaint = mountComplaint('squashfs', device)
  const [, compressor] = /uses "(\w+)" compression.*not supported/.exec(complaint) ?? []
  return compressor === undefined
    ? new OverlayError(
        `${shown}: the kernel finds its squashfs damaged (${complaint || String(cause)}): a whole copy must take its place`,
        { cause },
      )
    : new OverlayError(
        `${shown}: its squashfs is compressed with ${compressor}, which this node's kernel cannot read: build it with zstd or gzip`,
        { cause },
      )
}

const mountSquashfs = (device: string, at: string, image: Image): void => {
  try {
    mount(device, at, 'squashfs', readOnlyLayer, null)
  } catch (error) {
    throw explainSquashfs(device, image, error)
  }
}

/** The kernel does not mount an ext3 file system; the message is about "it", and does not name the file. */
export class UnmountableError extends OverlayError {
  override name = 'UnmountableError'
}

const ext3Mounts = {
  write: [mountFlags.nodev, ext3Options],
  read: [readOnlyLayer, readOnlyExt3Options],
  /** As it lies there, its journal left aside. */
  rescue: [readOnlyLayer, `${readOnlyExt3Options},noload`],
} as const

type Ext3Access = keyof typeof ext3Mounts

const mountExt3 = (device: string, at: string, access: Ext3Access, { shown }: Pick<Image, 'shown'>): void => {
  try {
    const [flags, options] = ext3Mounts[access]
    mount(device, at, ext3Driver, flags, options)
  } catch (cause) {
    if (hasCode(cause, 'EBUSY')) throw new LockHeldError(`${shown} is in use by another mount on this node`, { cause })
    throw new UnmountableError(`the kernel does not mount its ext3 file system (${shortly(cause)})`, { cause })
  }
}

/**
 * Mounts a part of a file read-only over the empty directory `at`; everyone on the
 * node who does so shares its loop device.
 */
export const mountImage = (
  image: Image,
  layer: ImageLayer,
  at: string,
  lockDir: string,
  access: 'read' | 'rescue' = 'read',
): LoopAttachment =>
  withSharedLoop(loopFile(image, layer, lockDir), ({ path }) =>
    layer.kind === 'squashfs' ? mountSquashfs(path, at, image) : mountExt3(path, at, access, image),
  )

/** Mounts read-write once and unmounts: the kernel replays the journal. Then the shared lock replaces the exclusive one. */
const replayJournal = (overlay: OpenOverlay, replay: number, layer: ImageLayer, at: string, lockDir: string): void => {
  const loop = attachLoop(loopFile({ fd: replay, path: overlay.path }, layer, lockDir), { kind: 'write' })
  try {
    mountExt3(loop.path, at, 'write', overlay)
    umount(at)
  } finally {
    closeSync(loop.fd)
    closeSync(replay)
    retrySync(
      () => {
        if (isAttached(loop)) throw new OverlayError(`${overlay.shown}: its loop device stays after journal replay`)
        lockImage(overlay.fd, 'shared', overlay.shown)
      },
      () => true,
      { forMs: 5_000, everyMs: 2 },
    )
  }
}

const mountOwnLoop = (file: LoopFile, access: LoopAccess, mountIt: (device: string) => void): LoopAttachment => {
  const { fd, path, number, diskseq } = attachLoop(file, access)
  try {
    mountIt(path)
  } finally {
    closeSync(fd)
  }
  return { number, diskseq }
}

/** Who only looks whether a device is mounted claims it for a moment (`isClaimed`). */
const looks = { forMs: 200, everyMs: 5 }

/** A tool of the node agent's may have the device for long; the kubelet asks again. */
const deviceWaitMs = 30_000

/** The device's own lock is none that would outlive us: the look and the mount come under one of ours. */
const mountDevice = (
  overlay: OpenOverlay,
  { major, minor }: DeviceNumbers,
  at: string,
  lockDir: string,
): Pick<MountedParts, 'damage'> => {
  const mountAs = (access: Ext3Access): void => mountExt3(descriptorPath(overlay.fd), at, access, overlay)
  const mountIt = (): Pick<MountedParts, 'damage'> => {
    if (!isWriter(overlay)) return { damage: orRescue(mountAs).damage }
    assertUnclaimed(overlay.fd, overlay.shown)
    mountAs('write')
    return { damage: null }
  }
  try {
    return withNamedLock(
      lockDir,
      `device-${major}-${minor}`,
      () => retrySync(mountIt, (error) => error instanceof LockHeldError, looks),
      deviceWaitMs,
    )
  } catch (cause) {
    if (!hasCode(cause, 'EAGAIN')) throw cause
    throw new LockHeldError(`${overlay.shown} is being prepared or checked by the node agent`, { cause })
  }
}

/** Where an overlay's files are reached in the private namespace, and by what the kernel holds it. */
export interface MountedParts {
  /** Its top: of the file system, or the directory. */
  top: string
  /** Of format Directory: where its lock is mounted, a layer without meaning that must be in the root. */
  lock: string | undefined
  loop: LoopAttachment | null
  device: DeviceNumbers | null
  damage: string | null
}

/**
 * Opens the directory once more, by the private namespace's own mount: overlayfs
 * takes no layer from another namespace.
 *
 * @param known the descriptor opened before, in the host's namespace
 * @param shown for messages
 */
export const reopenDirectory = (known: number, volume: string, path: string, shown: string): string => {
  const fd = withDirectory(volume, (dirfd) => openDirectoryBelow(dirfd, path, shown))
  const [was, is] = [fstatSync(known, { bigint: true }), fstatSync(fd, { bigint: true })]
  if (was.dev !== is.dev || was.ino !== is.ino)
    throw new OverlayError(`${shown} is no longer the directory that it was a moment before`)
  return descriptorPath(fd)
}

const directoryOf = ({ source, fd, shown, content }: OpenOverlay): string => {
  if (source.volume.kind !== 'directory') throw new OverlayError(`overlay "${source.name}" is not in a directory`)
  const known = content.kind === 'directory' ? content.directory : fd
  return reopenDirectory(known, source.volume.path, source.path, shown)
}

/** Larger sectors spare the loop device half-written pages; the kernel mounts no file system with smaller blocks on them. */
const sectorSizeFor = (fd: number, { offset, size }: Extent): 512 | 4096 => {
  const { blockSize } = readSuperblock(fd, offset)
  return [blockSize, offset, size].every((bytes) => bytes % 4096 === 0) ? 4096 : 512
}

type Ext3Content = Extract<OverlayContent, { kind: 'ext3' }>

const mountForWriting = (
  overlay: OpenOverlay,
  { extent }: Ext3Content,
  at: string,
  lockDir: string,
): LoopAttachment => {
  const access = { kind: 'writeDirectly', sectorSize: sectorSizeFor(overlay.fd, extent) } as const
  const file = loopFile(overlay, { extent }, lockDir)
  return mountOwnLoop(file, access, (device) => mountExt3(device, at, 'write', overlay))
}

/** A journal that the kernel cannot read keeps nobody from what lies in place: a reader may want to copy it. */
const orRescue = <T>(mountIt: (access: 'read' | 'rescue') => T): { mounted: T; damage: string | null } => {
  try {
    return { mounted: mountIt('read'), damage: null }
  } catch (error) {
    if (!(error instanceof UnmountableError)) throw error
    return { mounted: mountIt('rescue'), damage: `${error.message}: it is mounted read-only without its journal` }
  }
}

const mountForReading = (
  overlay: OpenOverlay,
  { extent, journal }: Ext3Content,
  at: string,
  lockDir: string,
): Pick<MountedParts, 'loop' | 'damage'> => {
  const layer = { kind: 'ext3', extent } as const
  const mountIt = (access: 'read' | 'rescue'): LoopAttachment => mountImage(overlay, layer, at, lockDir, access)
  if (journal.kind === 'leave') {
    const damage = 'the kernel noted errors in its file system: it is mounted read-only without its journal'
    return { loop: mountIt('rescue'), damage }
  }
  const { mounted: loop, damage } = orRescue((access) => {
    if (access === 'read' && journal.kind === 'replay') replayJournal(overlay, journal.fd, layer, at, lockDir)
    return mountIt(access)
  })
  return { loop, damage }
}

/** Of format Directory. */
const mountLock = (overlay: OpenOverlay, at: string, lockDir: string): LoopAttachment => {
  const image = { fd: overlay.fd, path: join(overlay.path, lockFileName), shown: overlay.shown }
  const layer = { kind: 'squashfs', extent: { offset: 0, size: Number(overlay.stats.size) } } as const
  if (!isWriter(overlay)) return mountImage(image, layer, at, lockDir)
  return mountOwnLoop(loopFile(image, layer, lockDir), { kind: 'read' }, (device) => mountSquashfs(device, at, image))
}

const mountContent = (overlay: OpenOverlay, at: string, lockDir: string): MountedParts => {
  const { content } = overlay
  const parts = { top: at, lock: undefined, loop: null, device: null, damage: null }
  switch (content.kind) {
    case 'plainDirectory':
      return { ...parts, top: directoryOf(overlay) }
    case 'directory':
      return { ...parts, top: directoryOf(overlay), lock: at, loop: mountLock(overlay, at, lockDir) }
    case 'device':
      return {
        ...parts,
        ...mountDevice(overlay, content, at, lockDir),
        device: { major: content.major, minor: content.minor },
      }
    case 'squashfs':
      return { ...parts, loop: mountImage(overlay, content, at, lockDir) }
    case 'ext3':
      return isWriter(overlay)
        ? { ...parts, loop: mountForWriting(overlay, content, at, lockDir) }
        : { ...parts, ...mountForReading(overlay, content, at, lockDir) }
  }
}

/**
 * @param at a path of the private namespace at which nothing is yet
 * @throws OverlayDamagedError
 */
export const mountOverlay = (overlay: OpenOverlay, at: string, lockDir: string): MountedParts => {
  mkdirSync(at)
  try {
    return mountContent(overlay, at, lockDir)
  } catch (cause) {
    if (cause instanceof UnmountableError) throw new OverlayDamagedError(overlay.source, cause.message, { cause })
    throw cause
  }
}
