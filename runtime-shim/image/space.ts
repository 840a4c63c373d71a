import { fstatSync, statfsSync, writeSync } from 'node:fs'
import { readdir, rm, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { hasCode } from '../mount/error-code.ts'
import { CacheFullError, NoSpaceError } from './errors.ts'

/** What an image may take, in bytes. */
export interface Room {
  /** Of the disk, stays free. */
  keepFree: number
  /** The image, or what is fetched for it, may be so large. */
  most: number
}

/** Until the disk is full. */
export const wholeDisk: Room = { keepFree: 0, most: Number.POSITIVE_INFINITY }

/** Bytes that are free for everyone on the file system of `path`. */
export const freeBytes = (path: string): number => {
  const { bavail, bsize } = statfsSync(path)
  return bavail * bsize
}

/**
 * Whether something of that size may be brought to the directory `path`.
 *
 * @param more bytes of it that are not there yet
 * @throws NoSpaceError, CacheFullError
 */
export const assertRoom = (
  path: string,
  needed: number,
  { keepFree, most }: Room = wholeDisk,
  more: number = needed,
): void => {
  if (needed > most) throw new CacheFullError({ needed, most })
  const free = freeBytes(path)
  if (free - keepFree < more) throw new NoSpaceError({ path, needed: more, free, keepFree })
}

const sizeOf = async (path: string): Promise<number> =>
  stat(path).then(
    (stats) => (stats.isFile() ? stats.size : 0),
    () => 0,
  )

/** Bytes of the files below a directory, as far as they are there still. */
export const directorySize = async (dir: string): Promise<number> => {
  const names = await readdir(dir, { recursive: true }).catch(() => [])
  const sizes = await Promise.all(names.map((name) => sizeOf(join(dir, name))))
  return sizes.reduce((sum, size) => sum + size, 0)
}

/** Where an image is being made. */
interface Making {
  /** The file. */
  target: string
  /** All that is there because of it. */
  scratchDir: string
  room: Room
}

const lookEveryMs = 200

const assertSize = async ({ target, room: { most } }: Pick<Making, 'target' | 'room'>): Promise<void> => {
  const size = await sizeOf(target)
  if (size > most) throw new CacheFullError({ needed: size, most, soFar: true })
}

/** Ends in an error as soon as more room is taken than may be. */
const watchRoom = async ({ target, scratchDir, room }: Making, signal: AbortSignal): Promise<never> => {
  const { keepFree } = room
  for (;;) {
    await sleep(lookEveryMs, undefined, { signal })
    await assertSize({ target, room })
    const free = freeBytes(scratchDir)
    if (free >= keepFree) continue
    throw new NoSpaceError({ path: scratchDir, needed: await directorySize(scratchDir), free, keepFree, soFar: true })
  }
}

/**
 * Runs `act`, whose signal is aborted when more room is taken than may be:
 * how much an image will be is not known, or is only what somebody says. There
 * is no file at `target` when it fails.
 *
 * @throws NoSpaceError, CacheFullError, and what `act` throws
 */
export const withinRoom = async <T>(
  making: Making,
  signal: AbortSignal,
  act: (signal: AbortSignal) => Promise<T>,
): Promise<T> => {
  const exceeded = new AbortController()
  const done = new AbortController()
  watchRoom(making, done.signal).catch((error: unknown) => exceeded.abort(error))
  try {
    const result = await act(AbortSignal.any([signal, exceeded.signal]))
    await assertSize(making)
    return result
  } catch (error) {
    await rm(making.target, { force: true })
    throw exceeded.signal.aborted ? exceeded.signal.reason : error
  } finally {
    done.abort()
  }
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
