import { fstatSync, statfsSync, writeSync } from 'node:fs'
import { hasCode } from '../mount/error-code.ts'
import { NoSpaceError } from './errors.ts'

/** Bytes that are free for everyone on the file system of `path`. */
export const freeBytes = (path: string): number => {
  const { bavail, bsize } = statfsSync(path)
  return bavail * bsize
}

/** @throws NoSpaceError */
export const assertRoom = (path: string, needed: number): void => {
  const free = freeBytes(path)
  if (free < needed) throw new NoSpaceError({ path, needed, free })
}

export const isFullError = (error: unknown): boolean => hasCode(error, 'ENOSPC', 'EDQUOT')

const least = 2 ** 20

/**
 * Whether a write to the open file fails for want of room. To be asked when a
 * tool has failed on the file without saying why; adds to its end.
 */
export const isFull = (fd: number, path: string): boolean => {
  if (freeBytes(path) < least) return true
  try {
    writeSync(fd, Buffer.alloc(least, 1), 0, least, fstatSync(fd).size)
    return false
  } catch (error) {
    return isFullError(error)
  }
}
