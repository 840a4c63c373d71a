import {
  closeSync,
  constants,
  fchmodSync,
  fchownSync,
  fstatSync,
  mkdirSync,
  readdirSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { basename, dirname, join } from 'node:path'
import { hasCode } from './error-code.ts'
import { type OpenOverlay, OverlayError } from './images.ts'
import { lockImage } from './lock.ts'
import { attachLoop, isAttached, type LoopAttachment, withSharedLoop } from './loop.ts'
import { descriptorPath, openBelow, openDirectoryBelow, UnsafePathError, withDirectory } from './open.ts'
import { overlayOptions } from './overlay.ts'
import { CLONE_NEWNS, mount, mountFlags, umount, unshare } from './syscalls.ts'
import { retrySync } from './wait.ts'

/** Everything that makes one root, opened and locked beforehand in the host's namespace. */
export interface RootParts {
  /** The host's empty directory over which the root is mounted. */
  target: string
  lockDir: string
  /** The lowest layer: mount points that runc would otherwise create in the upper. */
  skeleton: { fd: number; path: string }
  base: { fd: number; path: string; reference: string; digest: string }
  /** In the order of the spec: later ReadOnly ones lie higher. */
  overlays: readonly OpenOverlay[]
  /** Directory of the throw-away upper layer; given exactly when no overlay is ReadWrite. */
  ephemeral: string | undefined
  mountLabel: string
}

interface MountedOverlay {
  overlay: OpenOverlay
  loop: LoopAttachment
  /** Where the image is mounted, in the private namespace. */
  at: string
}

const isReader = ({ overlay }: MountedOverlay): boolean => overlay.source.access === 'ReadOnly'
const isWriter = ({ overlay }: MountedOverlay): boolean => overlay.source.access === 'ReadWrite'

/**
 * ext3's options. Never `discard`: it would undo the image's allocation. An image
 * whose superblock says "panic on errors" must not take the node down.
 */
const ext3Options = 'errors=remount-ro,data_err=abort'

/** The ext4 driver mounts ext3 and sets no feature bit; its delayed allocation writes faster. */
const ext3Driver = 'ext4'

const readOnlyLayer = mountFlags.readOnly | mountFlags.nodev

const mountSquashfs = (image: { fd: number; path: string }, at: string, lockDir: string): void => {
  mkdirSync(at)
  withSharedLoop(image.fd, { name: basename(image.path), lockDir }, (loop) =>
    mount(loop.path, at, 'squashfs', readOnlyLayer, null),
  )
}

/** Mounts read-write once and unmounts: the kernel replays the journal. Then the shared lock replaces the exclusive one. */
const replayJournal = (overlay: OpenOverlay, replay: number, at: string, lockDir: string): void => {
  const loop = attachLoop(replay, { name: basename(overlay.path), readOnly: false, lockDir })
  try {
    mount(loop.path, at, ext3Driver, mountFlags.nodev, ext3Options)
    umount(at)
  } finally {
    closeSync(loop.fd)
    closeSync(replay)
  }
  retrySync(
    () => {
      if (isAttached(loop)) throw new OverlayError(`${overlay.path}: its loop device stays after journal replay`)
      lockImage(overlay.fd, 'shared', overlay.path)
    },
    () => true,
    { forMs: 5_000, everyMs: 2 },
  )
}

const mountOverlayImage = (overlay: OpenOverlay, at: string, lockDir: string): MountedOverlay => {
  mkdirSync(at)
  if (overlay.source.access === 'ReadOnly') {
    if (overlay.replay !== undefined) replayJournal(overlay, overlay.replay, at, lockDir)
    const name = basename(overlay.path)
    const loop = withSharedLoop(overlay.fd, { name, lockDir }, (shared) =>
      mount(shared.path, at, ext3Driver, readOnlyLayer, 'errors=remount-ro'),
    )
    return { overlay, loop, at }
  }
  const { fd, path, ...loop } = attachLoop(overlay.fd, { name: basename(overlay.path), readOnly: false, lockDir })
  try {
    mount(path, at, ext3Driver, mountFlags.nodev, ext3Options)
  } finally {
    closeSync(fd)
  }
  return { overlay, loop, at }
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

const baseRecord = 'lamina.json'

/** The image that the overlay was first written upon, kept beside `upper/`; an empty file is one that a crash cut off. */
const recordBase = (root: number, { reference, digest }: RootParts['base']): void => {
  const fd = openBelow(root, baseRecord, constants.O_RDWR | constants.O_CREAT, baseRecord, 0o644)
  try {
    const stats = fstatSync(fd)
    if (!stats.isFile()) throw new UnsafePathError(`${baseRecord} is not a regular file`)
    if (stats.size === 0) writeFileSync(fd, `${JSON.stringify({ base: { reference, digest } })}\n`)
  } finally {
    closeSync(fd)
  }
}

const persistentUpper = ({ overlay, at }: MountedOverlay, base: RootParts['base'], baseRoot: string): UpperLayer =>
  withDirectory(at, (root) => {
    const { name } = overlay.source
    const upper = makeLayerDirectory(root, 'upper', `upper/ of overlay "${name}"`, statSync(baseRoot))
    const work = makeLayerDirectory(root, 'work', `work/ of overlay "${name}"`, { mode: 0o755, uid: 0, gid: 0 })
    recordBase(root, base)
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

const upperOf = (writer: MountedOverlay | undefined, parts: RootParts, baseRoot: string): UpperLayer => {
  if (writer) return persistentUpper(writer, parts.base, baseRoot)
  if (parts.ephemeral !== undefined) return ephemeralUpper(parts.ephemeral, baseRoot)
  throw new OverlayError('there is neither a ReadWrite overlay nor a directory for the throw-away one')
}

/** The `upper/` of an image used as a lower layer; an image without one adds nothing. */
const lowerOf = ({ overlay, at }: MountedOverlay): string[] => {
  try {
    const fd = withDirectory(at, (root) =>
      openDirectoryBelow(root, 'upper', `upper/ of overlay "${overlay.source.name}"`),
    )
    return [descriptorPath(fd)]
  } catch (error) {
    if (hasCode(error, 'ENOENT')) return []
    throw error
  }
}

/**
 * Moves the calling thread into a mount namespace of its own, where the host's
 * mounts still come and go but ours stay private, and mounts the root at
 * `target`. When the last process of that namespace ends, the kernel unmounts
 * all of it, detaches the loop devices and drops the locks.
 *
 * From here on only synchronous file system calls see the new namespace.
 */
export const mountRoot = (parts: RootParts): MountedOverlay[] => {
  const { target, lockDir } = parts
  unshare(CLONE_NEWNS)
  mount('none', '/', null, mountFlags.recursive | mountFlags.slave, null)
  const dir = dirname(target)
  mount('lamina', dir, 'tmpfs', mountFlags.nodev, 'mode=0700')
  mkdirSync(target)

  const skeleton = join(dir, 'skeleton')
  const base = join(dir, 'base')
  mountSquashfs(parts.skeleton, skeleton, lockDir)
  mountSquashfs(parts.base, base, lockDir)

  const mounted = parts.overlays.map((overlay, index) =>
    mountOverlayImage(overlay, join(dir, `overlay-${index}`), lockDir),
  )
  const lowers = [...mounted.filter(isReader).flatMap(lowerOf).toReversed(), base, skeleton]
  const layer = upperOf(mounted.find(isWriter), parts, base)
  const options = overlayOptions({ ...layer, lowers, mountLabel: parts.mountLabel })
  mount('lamina', target, 'overlay', mountFlags.nodev, options)
  return mounted
}
