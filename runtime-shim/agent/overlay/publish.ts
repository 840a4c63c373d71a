import { randomUUID } from 'node:crypto'
import {
  closeSync,
  constants,
  existsSync,
  fchownSync,
  fstatSync,
  fsync,
  ftruncateSync,
  linkSync,
  readdirSync,
  renameSync,
  rmSync,
} from 'node:fs'
import { promisify } from 'node:util'
import { hasCode } from '../../mount/error-code.ts'
import { LockHeldError, lockImage } from '../../mount/lock.ts'
import { descriptorPath, type OpenFile, openBelow, openRegularBelow } from '../../mount/open.ts'

const sync = promisify(fsync)

/** Names of files that are on their way to `name`: a UUID follows. */
const stagingPrefix = (name: string): string => `.${name}.new-`

/** Undefined when another sweep has been here first, or the file has got its name. */
const openStaging = (dirfd: number, staging: string): OpenFile | undefined => {
  try {
    return openRegularBelow(dirfd, staging, 'write', staging)
  } catch (error) {
    if (hasCode(error, 'ENOENT', 'ESTALE')) return undefined
    throw error
  }
}

/**
 * Takes the name away, and gives back at once what had no other: XFS says for a
 * moment after the last close that the room is taken still.
 */
const discard = (path: string, fd: number): void => {
  rmSync(path, { force: true })
  if (fstatSync(fd).nlink === 0) ftruncateSync(fd, 0)
}

/**
 * Removes files of earlier preparations that were cut off.
 *
 * @returns how many there are that are under way: on another node, or by a tool that has outlived its agent
 */
export const sweepStaging = (dirfd: number, name: string): number => {
  const dir = descriptorPath(dirfd)
  let underWay = 0
  for (const staging of readdirSync(dir).filter((each) => each.startsWith(stagingPrefix(name)))) {
    const file = openStaging(dirfd, staging)
    if (!file) continue
    const { fd } = file
    try {
      lockImage(fd, 'exclusive', staging)
      discard(`${dir}/${staging}`, fd)
    } catch (error) {
      if (!(error instanceof LockHeldError)) throw error
      underWay += 1
    } finally {
      closeSync(fd)
    }
  }
  return underWay
}

/** Another node's sweep may have been here first: no lock reaches across. */
const leave = (staging: string): void => rmSync(staging, { force: true })

/**
 * The finished file gets its name only if nothing has it: another node may have
 * made one meanwhile, and a foreign file is not replaced. Where the volume's file
 * system has no hard links, the last look is a moment before.
 *
 * @returns whether it has its name
 */
const publish = (dir: string, staging: string, name: string): boolean => {
  const [from, to] = [`${dir}/${staging}`, `${dir}/${name}`]
  try {
    linkSync(from, to)
    leave(from)
    return true
  } catch (error) {
    const hasNoLinks = hasCode(error, 'EPERM', 'ENOTSUP', 'ENOSYS', 'EMLINK')
    if (!hasNoLinks && !hasCode(error, 'EEXIST')) throw error
    if (hasNoLinks && !existsSync(to)) {
      renameSync(from, to)
      return true
    }
  }
  leave(from)
  return false
}

/** Whatever the volume made of it, or a tool has left. */
const giveToRoot = (fd: number): void => {
  const { uid, gid } = fstatSync(fd)
  if (uid !== 0 || gid !== 0) fchownSync(fd, 0, 0)
}

/**
 * Makes the file `name` in the directory open at `dirfd`: filled under another
 * name and under a lock, synced, then named. A crash leaves no file of that name
 * or a whole one; a failure leaves nothing.
 *
 * @returns false when another one has got the name first: then that one stays
 */
export const makeFile = async (dirfd: number, name: string, fill: (fd: number) => Promise<void>): Promise<boolean> => {
  const dir = descriptorPath(dirfd)
  const staging = `${stagingPrefix(name)}${randomUUID()}`
  const flags = constants.O_RDWR | constants.O_CREAT | constants.O_EXCL
  const fd = openBelow(dirfd, staging, flags, staging, 0o600)
  try {
    lockImage(fd, 'exclusive', staging)
    await fill(fd)
    giveToRoot(fd)
    await sync(fd)
    const isPublished = publish(dir, staging, name)
    await sync(dirfd)
    return isPublished
  } catch (error) {
    discard(`${dir}/${staging}`, fd)
    throw error
  } finally {
    closeSync(fd)
  }
}
