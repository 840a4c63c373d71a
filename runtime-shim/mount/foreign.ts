import { closeSync, constants, type Dirent, lstatSync, opendirSync, renameSync, unlinkSync } from 'node:fs'
import { hasCode } from './error-code.ts'
import { descriptorPath } from './open.ts'
import { getXattr, listXattrs, makeWhiteout, openat2, removeXattr, resolveStrictly, setXattr } from './syscalls.ts'

declare module 'node:fs' {
  /** As Node has it, and its types have not: with names as bytes. */
  function opendirSync(
    path: Buffer,
    options: { encoding: 'buffer'; bufferSize: number },
  ): { readSync(): Dirent<Buffer> | null; closeSync(): void }
}

/**
 * What other tools write into the upper layer of an overlay in forms of their own.
 * The kernel's overlayfs, as we mount it, knows a whiteout as a character device
 * 0:0 and an opaque directory by `trusted.overlay.opaque`. It takes these others
 * for ordinary files and attributes, and what was deleted would come back:
 *
 * - fuse-overlayfs (containers/fuse-overlayfs, main.c): `.wh.NAME`, `.wh..wh..opq`, `user.fuseoverlayfs.*`;
 * - mounts of a user namespace (`userxattr`): `user.overlay.*`;
 * - whiteouts as attributes of empty files (kernel 6.7): `*.overlay.whiteout`.
 */

export interface ForeignForm {
  /** Relative to the upper layer. */
  path: string
  /** What is foreign there, in words. */
  what: string
  /** Gives it the kernel's own form; while the walk stands in its directory. Undefined where there is none. */
  normalise: (() => void) | undefined
}

/** An upper layer has forms for which the kernel has none of its own, or cannot be looked through. */
export class ForeignFormError extends Error {
  override name = 'ForeignFormError'
}

/** An open directory of the layer. Names need not be UTF-8. */
interface Directory {
  fd: number
  /** Relative to the layer. */
  path: Buffer
  /** By which the kernel finds what is in it. */
  prefix: Buffer
}

const whiteoutPrefix = Buffer.from('.wh.')
/** Beginning of marks that are not about one file. */
const metaPrefix = Buffer.from('.wh..wh.')
const opaqueMark = Buffer.from('.wh..wh..opq')
/** Our own: a whiteout on its way to its name. */
const stagingName = Buffer.from('.wh..wh..lamina')

const opaqueXattrs = ['user.overlay.opaque', 'user.fuseoverlayfs.opaque']
const whiteoutXattrs = ['user.overlay.whiteout', 'trusted.overlay.whiteout']
/** Hints about inode numbers, and of features that we keep off. */
const idleXattrs = [
  ...['origin', 'impure', 'nlink', 'upper', 'uuid'].map((name) => `user.overlay.${name}`),
  'user.fuseoverlayfs.origin',
]
/** The kernel's own, yet written with features that we keep off: it would refuse the file, or follow to another. */
const refusedXattrs = ['trusted.overlay.redirect', 'trusted.overlay.metacopy']
const foreignPrefixes = ['user.overlay.', 'user.fuseoverlayfs.', 'user.containers.override_stat']

const isForeign = (xattr: string): boolean =>
  foreignPrefixes.some((prefix) => xattr.startsWith(prefix)) ||
  whiteoutXattrs.includes(xattr) ||
  refusedXattrs.includes(xattr)

const startsWith = (name: Buffer, prefix: Buffer): boolean => name.subarray(0, prefix.length).equals(prefix)

const join = (directory: Buffer, name: Buffer): Buffer =>
  directory.length === 0 ? name : Buffer.concat([directory, Buffer.from('/'), name])

/** An entry of the open directory; none of the calls that it goes to follows its last part. */
const entry = ({ prefix }: Directory, name: Buffer): Buffer => Buffer.concat([prefix, name])

/** The open directory itself. */
const itself = (directory: Directory): Buffer => entry(directory, Buffer.from('.'))

const isEmptyFile = (path: Buffer): boolean => {
  const stats = lstatSync(path)
  return stats.isFile() && stats.size === 0
}

/** The kernel's own, whatever its name: fuse-overlayfs leaves one beside each of its opaque marks. */
const isWhiteout = (path: Buffer): boolean => {
  const stats = lstatSync(path)
  return stats.isCharacterDevice() && stats.rdev === 0
}

const makeOpaque = (path: Buffer): void => setXattr(path, 'trusted.overlay.opaque', Buffer.from('y'))

/** Each of these leaves the mark for last, so that what was cut off is found again. */
const byMark = {
  opaque: (directory: Directory, mark: Buffer) => () => {
    makeOpaque(itself(directory))
    unlinkSync(entry(directory, mark))
  },
  whiteout: (directory: Directory, mark: Buffer) => () => {
    const name = mark.subarray(whiteoutPrefix.length)
    try {
      makeWhiteout(directory.fd, name)
    } catch (error) {
      if (!hasCode(error, 'EEXIST')) throw error
      // Made again after it was deleted: a file hides the lower one by itself, a directory must say so.
      if (lstatSync(entry(directory, name)).isDirectory()) makeOpaque(entry(directory, name))
    }
    unlinkSync(entry(directory, mark))
  },
  remove: (directory: Directory, mark: Buffer) => () => unlinkSync(entry(directory, mark)),
}

const byXattr = {
  opaque: (path: Buffer, xattr: string) => () => {
    makeOpaque(path)
    removeXattr(path, xattr)
  },
  whiteout: (directory: Directory, name: Buffer) => () => {
    makeWhiteout(directory.fd, stagingName)
    renameSync(entry(directory, stagingName), entry(directory, name))
  },
  remove: (path: Buffer, xattr: string) => () => removeXattr(path, xattr),
}

/** Of `.` or `..`: those are no files that could have been deleted, and to mark them would reach the parent. */
const isMarkOfDirectory = (name: Buffer): boolean =>
  ['.', '..'].includes(name.toString('latin1', whiteoutPrefix.length))

const formOfName = (directory: Directory, name: Buffer): Omit<ForeignForm, 'path'> | undefined => {
  if (!startsWith(name, whiteoutPrefix)) return undefined
  if (name.equals(stagingName)) return { what: 'left by a cut-off import', normalise: byMark.remove(directory, name) }
  if (isWhiteout(entry(directory, name))) return undefined
  const isMark = isEmptyFile(entry(directory, name)) && !isMarkOfDirectory(name)
  if (isMark && name.equals(opaqueMark))
    return { what: 'an opaque directory as fuse-overlayfs marks it', normalise: byMark.opaque(directory, name) }
  if (isMark && !startsWith(name, metaPrefix) && name.length > whiteoutPrefix.length)
    return { what: 'a deleted file as fuse-overlayfs marks it', normalise: byMark.whiteout(directory, name) }
  return { what: 'named like the mark of a deleted file, and not one', normalise: undefined }
}

const normaliseOwnXattr = (directory: Directory, xattr: string): ForeignForm['normalise'] => {
  const path = itself(directory)
  if (idleXattrs.includes(xattr)) return byXattr.remove(path, xattr)
  if (!opaqueXattrs.includes(xattr)) return undefined
  const value = getXattr(path, xattr).toString('latin1')
  if (value === 'y') return byXattr.opaque(path, xattr)
  // Says that whiteouts are attributes in here: those are found one by one.
  return value === 'x' ? byXattr.remove(path, xattr) : undefined
}

const normaliseFileXattr = (directory: Directory, name: Buffer, xattr: string): ForeignForm['normalise'] => {
  const path = entry(directory, name)
  if (idleXattrs.includes(xattr)) return byXattr.remove(path, xattr)
  return whiteoutXattrs.includes(xattr) && isEmptyFile(path) ? byXattr.whiteout(directory, name) : undefined
}

/** NFS before version 4.2, FAT and others have none. */
const xattrsOf = (path: Buffer): string[] => {
  try {
    return listXattrs(path)
  } catch (error) {
    if (hasCode(error, 'ENOTSUP')) return []
    throw error
  }
}

const attribute = (xattr: string): string => `the attribute ${xattr}`

/** An empty file that says so is a whiteout, whatever else it says. */
const formsOfFile = (directory: Directory, name: Buffer): Omit<ForeignForm, 'path'>[] => {
  const xattrs = xattrsOf(entry(directory, name)).filter(isForeign)
  const forms = xattrs.map((xattr) => ({
    what: attribute(xattr),
    normalise: normaliseFileXattr(directory, name, xattr),
  }))
  const whiteout = forms.find((_, index) => whiteoutXattrs.includes(xattrs[index] ?? ''))
  return whiteout ? [whiteout] : forms
}

const assertInTime = ({ deadline }: Look): void => {
  if (deadline !== undefined && performance.now() > deadline)
    throw new ForeignFormError('it has more files than can be looked through while a container starts')
}

/** In pieces, each of which is soon read; all before the first is changed: what a directory shows of changes meanwhile is up to its file system. */
const children = (directory: Directory, look: Look): Dirent<Buffer>[] => {
  const open = opendirSync(Buffer.from(descriptorPath(directory.fd)), { encoding: 'buffer', bufferSize: 256 })
  try {
    const entries: Dirent<Buffer>[] = []
    for (let each = open.readSync(); each; each = open.readSync()) {
      assertInTime(look)
      entries.push(each)
    }
    return entries
  } finally {
    open.closeSync()
  }
}

function* formsIn(directory: Directory, entries: readonly Dirent<Buffer>[], look: Look): Generator<ForeignForm> {
  const { xattrs } = look
  const at = (name: Buffer, form: Omit<ForeignForm, 'path'>) => ({ path: String(join(directory.path, name)), ...form })
  if (xattrs) {
    for (const xattr of xattrsOf(itself(directory)).filter(isForeign))
      yield {
        path: String(directory.path) || '.',
        what: attribute(xattr),
        normalise: normaliseOwnXattr(directory, xattr),
      }
  }
  for (const each of entries) {
    assertInTime(look)
    const form = formOfName(directory, each.name)
    if (form) yield at(each.name, form)
    else if (xattrs && each.isFile()) for (const found of formsOfFile(directory, each.name)) yield at(each.name, found)
  }
}

interface Look {
  /** False for file systems that are known to hold no extended attributes. */
  xattrs: boolean
  /** By `performance.now()`. */
  deadline?: number
}

const openDirectory = (top: number, path: Buffer): Directory => {
  const flags = constants.O_RDONLY | constants.O_DIRECTORY
  try {
    const fd = openat2(top, path.length === 0 ? '.' : path, flags, resolveStrictly)
    return { fd, path, prefix: Buffer.from(`${descriptorPath(fd)}/`) }
  } catch (cause) {
    if (!hasCode(cause, 'ENAMETOOLONG')) throw cause
    throw new ForeignFormError('it has directories too deep to be looked through', { cause })
  }
}

/**
 * Walks the layer whose top directory is open at `top`, without following a link
 * or leaving its file system, and gives one form after the other.
 *
 * @throws ForeignFormError when the layer is too deep, or it takes too long
 */
export function* foreignForms(top: number, look: Look = { xattrs: true }): Generator<ForeignForm> {
  const pending: Buffer[] = [Buffer.alloc(0)]
  for (let path = pending.pop(); path !== undefined; path = pending.pop()) {
    const directory = openDirectory(top, path)
    try {
      const entries = children(directory, look)
      yield* formsIn(directory, entries, look)
      for (const each of entries) if (each.isDirectory()) pending.push(join(directory.path, each.name))
      if (pending.length > 0) assertInTime(look)
    } finally {
      closeSync(directory.fd)
    }
  }
}

/**
 * Gives every foreign form in the upper layer the kernel's own, or changes nothing.
 * Can be run again after it was cut off. Nobody else may use the layer meanwhile.
 *
 * @returns how many forms there were
 * @throws ForeignFormError naming what has no equal
 */
export const normaliseUpper = (top: number): number => {
  for (const { path, what, normalise } of foreignForms(top))
    if (!normalise)
      throw new ForeignFormError(
        `${path}: ${what}, has no equal in the kernel's overlayfs: mount the overlay with the tool that wrote it and copy its files out`,
      )
  let count = 0
  for (const { normalise } of foreignForms(top)) {
    normalise?.()
    count += 1
  }
  return count
}
