import { closeSync, fchmodSync, fchownSync, fstatSync, mkdirSync, readdirSync, rmSync, statSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { hasCode, isCorruption, shortly } from './error-code.ts'
import { readSquashfs } from './image-file.ts'
import { isWriter, type MountedParts, mountImage, mountOverlay, reopenDirectory, UnmountableError } from './layers.ts'
import { makeMountPoints } from './mount-points.ts'
import { assertNative, importFirst, importIt, type Layer, writeItAgain } from './native.ts'
import { descriptorPath, openDirectoryBelow, withDirectory } from './open.ts'
import { overlayOptions } from './overlay.ts'
import {
  type ImageLayer,
  inMemory,
  type MountedOverlay,
  type OpenBase,
  type OpenOverlay,
  OverlayDamagedError,
  OverlayError,
  type RootParts,
} from './parts.ts'
import { type OverlayRecord, readOverlayRecord, writeOverlayRecord } from './record.ts'
import { giveUpRoom, isFull, keepRoom, unlessFull } from './room.ts'
import { CLONE_NEWNS, mount, mountFlags, unshare } from './syscalls.ts'

interface Mounted extends MountedParts {
  overlay: OpenOverlay
}

/** Makes the directory unless something of that name is there (mkdir(2) follows no link), and opens it. */
const makeLayerDirectory = (
  parent: number,
  name: string,
  what: string,
  like: { mode: number; uid: number; gid: number },
): number => {
  let made = true
  try {
    mkdirSync(`${descriptorPath(parent)}/${name}`, 0o755)
  } catch (error) {
    if (!hasCode(error, 'EEXIST')) throw error
    made = false
  }
  const fd = openDirectoryBelow(parent, name, what)
  if (made) {
    fchownSync(fd, like.uid, like.gid)
    fchmodSync(fd, like.mode & 0o7777)
  }
  return fd
}

interface UpperLayer {
  upper: string
  work: string
  volatile: boolean
}

const nameOf = ({ source }: OpenOverlay): string => `overlay "${source.name}"`

/** Opens `upper/`; undefined where there is none. */
const openUpper = (top: number, name: string): number | undefined => {
  try {
    return openDirectoryBelow(top, 'upper', `upper/ of ${name}`)
  } catch (error) {
    if (hasCode(error, 'ENOENT')) return undefined
    throw error
  }
}

/** e2fsck puts there what has lost its place. */
const hasFoundLost = (top: number): boolean => {
  try {
    const fd = openDirectoryBelow(top, 'lost+found', 'lost+found')
    try {
      return readdirSync(descriptorPath(fd)).length > 0
    } finally {
      closeSync(fd)
    }
  } catch (error) {
    if (hasCode(error, 'ENOENT')) return false
    throw error
  }
}

/** An overlay that was written before has an `upper/`: to begin with an empty one would look as if nothing had ever been there. */
const assertNeverWritten = (top: number, { source }: OpenOverlay, record: OverlayRecord | undefined): void => {
  if (record === undefined && !hasFoundLost(top)) return
  throw new OverlayDamagedError(
    source,
    'it has no upper/, where its files were: look for that in its lost+found, or restore it from a backup',
  )
}

/** Only what has no record of ours may be foreign. */
const openNativeUpper = (
  top: number,
  overlay: OpenOverlay,
  record: OverlayRecord | undefined,
  layer: Layer,
): number | undefined => {
  const upper = openUpper(top, layer.name)
  if (upper === undefined) assertNeverWritten(top, overlay, record)
  else if (record === undefined) assertNative(upper, layer)
  return upper
}

/** The kernel mounts a file system without looking at all of it; of an ext3, e2fsck can say more. */
const judging = <T>(mounted: Mounted, act: (mounted: Mounted) => T): T => {
  try {
    return act(mounted)
  } catch (cause) {
    const { source, content } = mounted.overlay
    if (!isCorruption(cause) || (content.kind !== 'ext3' && content.kind !== 'device')) throw cause
    throw new OverlayDamagedError(source, `its file system cannot be read (${shortly(cause)})`, { cause })
  }
}

/** Files of an overlay lie over those of the image that it was written upon: over another they would hide and mix. */
const assertUpon = (
  { recorded }: RootParts['base'],
  { source: { name, leaves = [] } }: OpenOverlay,
  record: OverlayRecord | undefined,
): void => {
  const written = record?.base
  if (!recorded || !written || written.digest === recorded.digest) return
  if (leaves === 'any' || leaves.includes(written.digest)) return
  throw new OverlayError(
    `overlay "${name}" was written upon ${written.reference}, and would lie upon ${recorded.reference}: run it on that image, or set base: Follow for it in spec.overlays of the Instance to take it over to this one`,
  )
}

const persistentUpper = (
  { overlay, top: path }: Mounted,
  base: RootParts['base'],
  baseRoot: string,
  deadline: number,
): UpperLayer =>
  withDirectory(path, (top) => {
    const name = nameOf(overlay)
    const record = readOverlayRecord(top)
    assertUpon(base, overlay, record)
    const upper =
      openNativeUpper(top, overlay, record, { name, remedy: importFirst, writer: overlay.source, deadline }) ??
      makeLayerDirectory(top, 'upper', `upper/ of ${name}`, statSync(baseRoot))
    const work = makeLayerDirectory(top, 'work', `work/ of ${name}`, { mode: 0o755, uid: 0, gid: 0 })
    const { recorded } = base
    const isKnown = record !== undefined && (!recorded || record.base?.digest === recorded.digest)
    if (!isKnown)
      unlessFull(() => writeOverlayRecord(top, { ...(recorded ? { base: recorded } : {}), normalised: true }))
    keepRoom(top)
    return { upper: descriptorPath(upper), work: descriptorPath(work), volatile: false }
  })

/** Fresh at each start of the container: what an earlier one wrote goes first. */
const ephemeralUpper = (directory: string, baseRoot: string): UpperLayer => {
  for (const entry of readdirSync(directory)) rmSync(join(directory, entry), { recursive: true, force: true })
  return withDirectory(directory, (root) => {
    const upper = makeLayerDirectory(root, 'upper', 'upper/ of the throw-away overlay', statSync(baseRoot))
    const work = makeLayerDirectory(root, 'work', 'work/ of the throw-away overlay', { mode: 0o755, uid: 0, gid: 0 })
    return { upper: descriptorPath(upper), work: descriptorPath(work), volatile: true }
  })
}

const upperOf = (
  writer: Mounted | undefined,
  { base, ephemeral, target }: RootParts,
  baseRoot: string,
  deadline: number,
): UpperLayer => {
  if (writer) return judging(writer, () => persistentUpper(writer, base, baseRoot, deadline))
  if (ephemeral === inMemory) {
    const directory = join(dirname(target), 'ephemeral')
    mkdirSync(directory)
    return ephemeralUpper(directory, baseRoot)
  }
  if (ephemeral !== undefined) return ephemeralUpper(ephemeral, baseRoot)
  throw new OverlayError('there is neither a ReadWrite overlay nor a directory for the throw-away one')
}

/** The layer of a reader: `upper/`, and without one nothing; of a squashfs its root, of a foreign directory itself. */
const lowerOf = ({ overlay, top: path }: Mounted, deadline: number): string[] => {
  const name = nameOf(overlay)
  const { content, fd } = overlay
  return withDirectory(path, (top) => {
    if (content.kind === 'squashfs') {
      const { hasXattrs: xattrs } = readSquashfs(fd, content.extent.offset)
      assertNative(top, { name, remedy: writeItAgain, xattrs, deadline })
      return [path]
    }
    if (content.kind !== 'plainDirectory') {
      const upper = openNativeUpper(top, overlay, readOverlayRecord(top), { name, remedy: importIt, deadline })
      return upper === undefined ? [] : [descriptorPath(upper)]
    }
    const upper = openUpper(top, name)
    assertNative(upper ?? top, { name, remedy: writeItAgain, deadline })
    return [upper === undefined ? path : descriptorPath(upper)]
  })
}

/** What no node agent ever checks. */
const mountUnchecked = ({ fd, path }: OpenBase, layer: ImageLayer, at: string, lockDir: string): void => {
  mkdirSync(at)
  try {
    mountImage({ fd, path, shown: path }, layer, at, lockDir)
  } catch (cause) {
    if (!(cause instanceof UnmountableError)) throw cause
    throw new OverlayError(`${path}: ${cause.message}: run e2fsck on it`, { cause })
  }
}

/** Where the base is reached in the private namespace. */
const mountBase = (base: OpenBase, at: string, lockDir: string): string => {
  const { fd, path, content } = base
  if (content.kind === 'directory') return reopenDirectory(fd, content.directory, content.path, path)
  mountUnchecked(base, content, at, lockDir)
  return at
}

/** Where the lowest layer is reached. */
const mountSkeleton = ({ skeleton, lockDir }: RootParts, at: string): string => {
  if ('fd' in skeleton) return mountBase(skeleton, at, lockDir)
  mkdirSync(at, { mode: 0o755 })
  makeMountPoints(at, skeleton)
  return at
}

const isSameFile = (fd: number, { stats }: OpenOverlay): boolean => {
  const { dev, ino } = fstatSync(fd, { bigint: true })
  return dev === stats.dev && ino === stats.ino
}

interface MountedEmbedded {
  embedded: ImageLayer
  name: string
  top: string
}

/** The overlay partition of a SIF, unless it is also one of the overlays. */
const mountEmbedded = ({ base, overlays, lockDir }: RootParts, at: string): MountedEmbedded | undefined => {
  const { path, embedded } = base
  if (!embedded || overlays.some((overlay) => isSameFile(base.fd, overlay))) return undefined
  mountUnchecked(base, embedded, at, lockDir)
  return { embedded, name: `the overlay partition of ${path}`, top: at }
}

/** It is a layer above what else is in the SIF. */
const embeddedLower = ({ embedded, name, top: at }: MountedEmbedded, deadline: number): string[] =>
  withDirectory(at, (top) => {
    const layer = embedded.kind === 'squashfs' ? openDirectoryBelow(top, '.', name) : openUpper(top, name)
    if (layer === undefined) return []
    assertNative(layer, { name, remedy: writeItAgain, deadline })
    return [descriptorPath(layer)]
  })

/** Not every file system that holds an image can hold an upper layer: NFS and FUSE cannot. */
const explainMerge = (writer: Mounted | undefined, error: unknown): unknown => {
  if (hasCode(error, 'ELOOP'))
    return new OverlayError('a layer is there twice, or one lies inside another: use each directory once', {
      cause: error,
    })
  if (!writer) return error
  const name = nameOf(writer.overlay)
  if (isFull(error))
    return new OverlayError(`${name} is full, and overlayfs needs a little room to start: let it be larger`, {
      cause: error,
    })
  if (!hasCode(error, 'EINVAL') || writer.overlay.content.kind !== 'directory') return error
  return new OverlayError(
    `${name}: the kernel takes no upper layer on the file system of its volume (network and FUSE file systems cannot hold one): use format Image`,
    { cause: error },
  )
}

const mountMerged = (target: string, options: string, writer: Mounted | undefined): void => {
  const merge = () => mount('lamina', target, 'overlay', mountFlags.nodev, options)
  try {
    merge()
  } catch (error) {
    if (!writer || !isFull(error)) throw explainMerge(writer, error)
    withDirectory(writer.top, (top) => {
      giveUpRoom(top)
      try {
        merge()
      } catch (again) {
        throw explainMerge(writer, again)
      }
      keepRoom(top)
    })
  }
}

/** So long layers may be looked through in all: the kubelet waits two minutes for a container, and most of that may be gone. */
const lookMs = 20_000

/**
 * Moves the calling thread into a mount namespace of its own, where the host's
 * mounts still come and go but ours stay private, and mounts the root at
 * `target`. When the last process of that namespace ends, the kernel unmounts
 * all of it, detaches the loop devices and drops the locks.
 *
 * From here on only synchronous file system calls see the new namespace.
 *
 * @throws OverlayError
 */
export const mountRoot = (parts: RootParts): MountedOverlay[] => {
  const { target, lockDir } = parts
  unshare(CLONE_NEWNS)
  mount('none', '/', null, mountFlags.recursive | mountFlags.slave, null)
  const dir = dirname(target)
  mount('lamina', dir, 'tmpfs', mountFlags.nodev, 'mode=0700')
  mkdirSync(target)

  const skeleton = mountSkeleton(parts, join(dir, 'skeleton'))
  const base = mountBase(parts.base, join(dir, 'base'), lockDir)
  const embedded = mountEmbedded(parts, join(dir, 'embedded'))
  const mounted = parts.overlays.map((overlay, index) => ({
    overlay,
    ...mountOverlay(overlay, join(dir, `overlay-${index}`), lockDir),
  }))

  // Mounting may have taken its time, over a journal for one.
  const deadline = performance.now() + lookMs
  const writer = mounted.find(({ overlay }) => isWriter(overlay))
  const readers = mounted.filter(({ overlay }) => !isWriter(overlay))
  const locks = mounted.flatMap(({ lock }) => lock ?? [])
  const lowers = [
    ...readers.flatMap((reader) => judging(reader, () => lowerOf(reader, deadline))).toReversed(),
    ...(embedded ? embeddedLower(embedded, deadline) : []),
    base,
    skeleton,
    ...locks,
  ]
  const options = overlayOptions({ ...upperOf(writer, parts, base, deadline), lowers, mountLabel: parts.mountLabel })
  if (writer) judging(writer, () => mountMerged(target, options, writer))
  else mountMerged(target, options, writer)
  return mounted.map(({ overlay, loop, device, damage }) => ({ overlay, loop, device, damage }))
}
