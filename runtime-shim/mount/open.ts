import { type BigIntStats, closeSync, constants, fstatSync, openSync } from 'node:fs'
import { hasCode } from './error-code.ts'
import { O_PATH, openat2, openTree, resolveStrictly } from './syscalls.ts'

/** A path inside a volume, an image or a root is not what it must be; nothing was mounted. */
export class UnsafePathError extends Error {
  override name = 'UnsafePathError'
}

const describe = (error: unknown, what: string): Error => {
  if (hasCode(error, 'ELOOP')) {
    return new UnsafePathError(
      `${what} is or leads through a symbolic link, which is never followed: put what it leads to in its place`,
      { cause: error },
    )
  }
  if (hasCode(error, 'EXDEV')) {
    return new UnsafePathError(
      `${what} leads out of its file system, and is not followed there: put the file itself into the volume`,
      { cause: error },
    )
  }
  if (hasCode(error, 'ENOTDIR'))
    return new UnsafePathError(`${what} is not a directory, or lies below what is none: correct the path`, {
      cause: error,
    })
  if (hasCode(error, 'ENAMETOOLONG'))
    return new UnsafePathError(`${what} has a name of more than 255 bytes, which no file has: correct the path`, {
      cause: error,
    })
  return error instanceof Error ? error : new Error(String(error))
}

/** Opens `path` below `dirfd` without following anything that its owner could have planted. */
export const openBelow = (dirfd: number, path: string, flags: number, what: string, mode = 0): number => {
  try {
    return openat2(dirfd, path, flags, resolveStrictly, mode)
  } catch (error) {
    throw describe(error, what)
  }
}

export const openDirectoryBelow = (dirfd: number, path: string, what: string): number =>
  openBelow(dirfd, path, constants.O_RDONLY | constants.O_DIRECTORY, what)

/** Runs `act` with a descriptor of the trusted directory at `path`. */
export const withDirectory = <T>(path: string, act: (dirfd: number) => T): T => {
  const dirfd = openSync(path, O_PATH | constants.O_DIRECTORY)
  try {
    return act(dirfd)
  } finally {
    closeSync(dirfd)
  }
}

/**
 * The same, in a mount of the volume that is nobody's: what is opened keeps the
 * file system, but not the mount of the pod that happened to come first. For
 * readers, who share a loop device: the kubelet could not take that pod's volume
 * down before the last of them has ended.
 */
export const withDetachedDirectory = <T>(path: string, act: (dirfd: number) => T): T => {
  const dirfd = openTree(path)
  try {
    return act(dirfd)
  } finally {
    closeSync(dirfd)
  }
}

/** The name by which the kernel finds an open descriptor: for mount(2) and its options, and to open the same inode again. */
export const descriptorPath = (fd: number): string => `/proc/self/fd/${fd}`

export interface OpenFile {
  fd: number
  stats: BigIntStats
}

/** Looked at before it is opened: a FIFO planted in its place would block the caller, a device would act. */
const openOfKind = (dirfd: number, path: string, what: string, flagsFor: (stats: BigIntStats) => number): OpenFile => {
  const probe = openBelow(dirfd, path, O_PATH, what)
  try {
    const stats = fstatSync(probe, { bigint: true })
    return { fd: openSync(descriptorPath(probe), flagsFor(stats)), stats }
  } finally {
    closeSync(probe)
  }
}

const flagsOf = { read: constants.O_RDONLY, write: constants.O_RDWR } as const

/**
 * Opens a regular file below `dirfd`.
 *
 * @throws UnsafePathError
 */
export const openRegularBelow = (dirfd: number, path: string, access: 'read' | 'write', what: string): OpenFile =>
  openOfKind(dirfd, path, what, (stats) => {
    if (!stats.isFile()) throw new UnsafePathError(`${what} is not a regular file`)
    return flagsOf[access]
  })

/**
 * Opens a regular file or, for reading only, a directory below `dirfd`.
 *
 * @throws UnsafePathError
 */
export const openFileOrDirectoryBelow = (
  dirfd: number,
  path: string,
  access: 'read' | 'write',
  what: string,
): OpenFile =>
  openOfKind(dirfd, path, what, (stats) => {
    if (stats.isDirectory()) return constants.O_RDONLY | constants.O_DIRECTORY
    if (!stats.isFile())
      throw new UnsafePathError(`${what} is a FIFO, a socket or a device: put an image or a directory in its place`)
    return flagsOf[access]
  })

/** Opens a regular file in the trusted directory `dir`. */
export const openFileIn = (dir: string, name: string, access: 'read' | 'write', what: string): OpenFile =>
  withDirectory(dir, (dirfd) => openRegularBelow(dirfd, name, access, what))
