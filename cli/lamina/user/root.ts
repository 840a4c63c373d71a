import { closeSync, constants, existsSync, mkdirSync, readFileSync, statSync, unlinkSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { hasCode, shortly } from '../../../runtime-shim/mount/error-code.ts'
import { makeMountPoints } from '../../../runtime-shim/mount/mount-points.ts'
import { overlayRecordName } from '../../../runtime-shim/mount/names.ts'
import { openBelow, withDirectory } from '../../../runtime-shim/mount/open.ts'
import type { Extent, OpenOverlay } from '../../../runtime-shim/mount/parts.ts'
import { mount, mountFlags, O_PATH } from '../../../runtime-shim/mount/syscalls.ts'
import { Refusal } from '../../shared/refusal.ts'
import { rootTarget } from '../layout.ts'
import { mountPoints, type PlannedMount } from '../root/mount-plan.ts'
import type { OpenParts } from '../run/make-root.ts'
import type { Caller } from '../run/request.ts'
import { warn } from '../say.ts'
import { type FuseMount, serveExt3, serveOverlay, serveSquashfs } from './fuse.ts'

/** The same root as `mountRoot` makes, of what an ordinary user may mount. */

interface Mounting {
  /** A memory of its own, in which all lies. */
  dir: string
  /** The last one first is how they are to end. */
  served: FuseMount[]
}

const place = ({ dir }: Mounting, name: string): string => {
  const at = join(dir, name)
  mkdirSync(at)
  return at
}

const bindDirectory = (mounting: Mounting, name: string, source: string): string => {
  const at = place(mounting, name)
  mount(source, at, null, mountFlags.bind | mountFlags.recursive, null)
  return at
}

const layer = async (
  mounting: Mounting,
  name: string,
  { fd, kind, extent }: { fd: number; kind: 'squashfs' | 'ext3'; extent: Extent },
  access: 'read' | 'write',
): Promise<string> => {
  const at = place(mounting, name)
  mounting.served.unshift(
    kind === 'squashfs' ? await serveSquashfs(fd, extent.offset, at) : await serveExt3(fd, extent.offset, at, access),
  )
  return at
}

const baseOf = async (mounting: Mounting, { base }: OpenParts): Promise<string[]> => {
  const { content, embedded, fd } = base
  if (embedded) warn('the overlay partition of the SIF is left out: only root can mount it')
  if (content.kind === 'directory') return [bindDirectory(mounting, 'base', join(content.directory, content.path))]
  return [await layer(mounting, 'base', { fd, ...content }, 'read')]
}

/** Where its files are reached, with what overlayfs' users keep beside them. */
const topOf = async (mounting: Mounting, { source, fd, content, path }: OpenOverlay, name: string): Promise<string> => {
  const access = source.access === 'ReadWrite' ? 'write' : 'read'
  switch (content.kind) {
    case 'squashfs':
      return layer(mounting, name, { fd, kind: 'squashfs', extent: content.extent }, 'read')
    case 'ext3':
      if (content.journal.kind === 'replay')
        throw new Refusal(`overlay ${source.name} was not cleanly unmounted: use it once without :ro`)
      return layer(mounting, name, { fd, kind: 'ext3', extent: content.extent }, access)
    case 'plainDirectory':
    case 'directory':
      return bindDirectory(mounting, name, path)
    case 'device':
      throw new Refusal(`overlay ${source.name} is a block device, which only root can mount`)
  }
}

/**
 * Whether the overlay has such a directory. A link in its place would lead to the user's own files on the host.
 *
 * @throws UnsafePathError
 */
const hasDirectory = (top: string, part: 'upper' | 'work', { source: { name } }: OpenOverlay): boolean =>
  withDirectory(top, (fd) => {
    try {
      closeSync(openBelow(fd, part, O_PATH | constants.O_DIRECTORY, `${part}/ of overlay ${name}`))
      return true
    } catch (error) {
      if (hasCode(error, 'ENOENT')) return false
      throw error
    }
  })

const lowerOf = (top: string, overlay: OpenOverlay): string =>
  hasDirectory(top, 'upper', overlay) ? join(top, 'upper') : top

/** In the namespace there is no other id that could write it: fuse-overlayfs would fail, and some of it only later. */
const assertOwn = (upper: string, { source: { name } }: OpenOverlay): void => {
  const id = process.getuid?.() ?? 0
  if (statSync(upper).uid === id) return
  throw new Refusal(
    id === 0
      ? `overlay ${name} was made without --fakeroot, and cannot be written with it: leave --fakeroot out, or make another with lamina overlay create --fakeroot`
      : `overlay ${name} was made with --fakeroot, or by root: give --fakeroot, or make another with lamina overlay create`,
  )
}

const notWritable = (name: string, error: unknown): Refusal => {
  // Of files whose owner is nobody in the namespace the kernel says that his id is too large (EOVERFLOW).
  if (!hasCode(error, 'EOVERFLOW', 'EACCES', 'EPERM'))
    return new Refusal(
      `overlay ${name} cannot be written by you (${shortly(error)}): make one of your own with lamina overlay create, for --fakeroot with its --fakeroot`,
    )
  const next =
    process.getuid?.() === 0
      ? 'leave --fakeroot out if they are yours, or'
      : 'give --fakeroot, which writes what is of root, or'
  return new Refusal(
    `overlay ${name} has files of other users or of root, and cannot be written by you: ${next} have root mount it and chown -R all in it to you`,
  )
}

const upperOf = (top: string, overlay: OpenOverlay): { upper: string; work: string } => {
  const { name } = overlay.source
  const missing = (['upper', 'work'] as const).filter((part) => !hasDirectory(top, part, overlay))
  try {
    for (const each of missing) mkdirSync(join(top, each), { mode: 0o755 })
    if (existsSync(join(top, overlayRecordName))) {
      // The record says that nobody else has written it.
      unlinkSync(join(top, overlayRecordName))
      warn(`${name} was written by root: of directories that were deleted and made again, the image's files show too`)
    }
  } catch (error) {
    throw notWritable(name, error)
  }
  const upper = join(top, 'upper')
  assertOwn(upper, overlay)
  return { upper, work: join(top, 'work') }
}

const throwAway = (mounting: Mounting): { upper: string; work: string } => {
  const top = place(mounting, 'ephemeral')
  for (const each of ['upper', 'work']) mkdirSync(join(top, each), { mode: 0o755 })
  return { upper: join(top, 'upper'), work: join(top, 'work') }
}

/**
 * @returns a directory with the merged root; what serves it is in `mounting.served`
 * @throws Refusal
 */
const merge = async (
  mounting: Mounting,
  parts: OpenParts,
  mounts: readonly PlannedMount[],
  owner: number | undefined,
) => {
  const skeleton = place(mounting, 'skeleton')
  makeMountPoints(skeleton, mountPoints(mounts))
  const base = await baseOf(mounting, parts)
  const readers: string[] = []
  let written: { upper: string; work: string } | undefined
  for (const [index, overlay] of parts.overlays.entries()) {
    const top = await topOf(mounting, overlay, `overlay-${index}`)
    if (overlay.source.access === 'ReadWrite') written = upperOf(top, overlay)
    else readers.unshift(overlay.content.kind === 'squashfs' ? top : lowerOf(top, overlay))
  }
  const at = place(mounting, 'root')
  const lowers = [...readers, ...base, skeleton]
  const layers = { lowers, ...(written ?? throwAway(mounting)) }
  // The kernel takes no upper layer on FUSE, and does not know the marks that fuse-overlayfs leaves.
  if (parts.overlays.length > 0) mounting.served.unshift(await serveOverlay({ ...layers, owner }, at))
  else mount('lamina', at, 'overlay', mountFlags.nodev, kernelOptions(layers))
  return at
}

const hasOneID = (): boolean => readFileSync('/proc/self/uid_map', 'utf8').trim().split('\n').length === 1

/** With `userxattr` the features are off that must be, and a namespace may not name them. */
const kernelOptions = ({ lowers, upper, work }: { lowers: readonly string[]; upper: string; work: string }): string =>
  `lowerdir=${lowers.join(':')},upperdir=${upper},workdir=${work},userxattr,volatile`

export interface UserRoot {
  at: string
  /** Where files for it may be put. */
  dir: string
  /** Ends what serves it, from the top. */
  end(): Promise<void>
}

/** @throws Refusal */
export const makeUserRoot = async (
  parts: OpenParts,
  mounts: readonly PlannedMount[],
  { layout }: Caller,
): Promise<UserRoot> => {
  const dir = dirname(rootTarget(layout))
  mkdirSync(dir, { recursive: true, mode: 0o700 })
  mount('lamina', dir, 'tmpfs', mountFlags.nodev | mountFlags.nosuid, 'mode=0755')
  const mounting: Mounting = { dir, served: [] }
  const end = async (): Promise<void> => {
    for (const each of mounting.served) await each.end()
  }
  try {
    // A namespace with one id alone: files of others could be neither given away nor written.
    const owner = hasOneID() ? (process.getuid?.() ?? 0) : undefined
    return { dir, end, at: await merge(mounting, parts, mounts, owner) }
  } catch (error) {
    await end()
    throw error
  }
}
