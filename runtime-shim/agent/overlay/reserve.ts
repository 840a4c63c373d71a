import { fstatSync, ftruncateSync, statfsSync, write } from 'node:fs'
import { setImmediate as nextTurn } from 'node:timers/promises'
import { promisify } from 'node:util'
import { mebibytes } from '../../../kube/quantity.ts'
import { hasCode } from '../../mount/error-code.ts'
import { fallocate } from '../../mount/syscalls.ts'
import { Trouble } from '../trouble.ts'
import { ToolError } from './tools.ts'

const writeAt = promisify(write)

const mebibyte = 2 ** 20

/** For messages, and for what is free. */
interface Where {
  overlay: string
  directory: string
}

/** All that is free, the blocks kept for root among them: so much fallocate(2) may take. */
const freeBytes = (directory: string): number => {
  const { bfree, bsize } = statfsSync(directory)
  return bfree * bsize
}

const noSpace = ({ overlay, directory }: Where, missing: number | undefined, cause?: unknown): Trouble =>
  new Trouble(
    'OverlayNoSpace',
    `overlay "${overlay}" needs ${missing === undefined ? 'room' : `${mebibytes(missing)} more`} in its volume, and ${mebibytes(freeBytes(directory))} are free: make room there, or let the claim be larger`,
    { cause },
  )

const isOutOfSpace = (error: unknown): boolean =>
  hasCode(error, 'ENOSPC', 'EDQUOT') ||
  (error instanceof ToolError && error.output.some((line) => /No space left on device|Disk quota exceeded/.test(line)))

/**
 * Runs `act`, which writes into the volume.
 *
 * @throws Trouble when that has no room
 */
export const withinRoom = async <T>(where: Where, act: () => Promise<T>): Promise<T> => {
  try {
    return await act()
  } catch (error) {
    throw isOutOfSpace(error) ? noSpace(where, undefined, error) : error
  }
}

const piece = 16 * mebibyte

/**
 * XFS asks for room for the whole range, also for what is allocated already: a
 * piece at a time it asks for little. Between two pieces the agent serves others.
 */
const fallocatePieces = async (fd: number, size: number): Promise<void> => {
  for (let offset = 0; offset < size; offset += piece) {
    fallocate(fd, offset, Math.min(piece, size - offset))
    await nextTurn()
  }
}

/** For volumes whose file system has no fallocate(2), NFS before 4.2 among them. */
const writeZeros = async (fd: number, from: number, to: number): Promise<void> => {
  const zeros = Buffer.alloc(mebibyte)
  for (let offset = from; offset < to; offset += zeros.length)
    await writeAt(fd, zeros, 0, Math.min(zeros.length, to - offset), offset)
}

/** Bytes of the file's first `size` that have no blocks behind them. */
const missingBytes = (fd: number, size: number): number => size - fstatSync(fd).blocks * 512

/**
 * Backs the file's first `size` bytes by real blocks: on a sparse image in a full
 * volume a write succeeds, and the flush after it fails. A file that cannot get
 * them all is as long as before.
 *
 * @throws Trouble when the volume has no room
 */
export const reserve = async (fd: number, size: number, where: Where): Promise<void> => {
  const { size: length } = fstatSync(fd)
  const missing = missingBytes(fd, size)
  if (missing <= 0 && length >= size) return
  if (freeBytes(where.directory) < missing) throw noSpace(where, missing)
  try {
    try {
      await fallocatePieces(fd, size)
    } catch (error) {
      if (!hasCode(error, 'ENOTSUP', 'ENOSYS')) throw error
      await writeZeros(fd, length, size)
    }
  } catch (error) {
    if (length < size) ftruncateSync(fd, length)
    if (!hasCode(error, 'ENOSPC', 'EDQUOT')) throw error
    throw noSpace(where, missing, error)
  }
}

/**
 * Makes sure that `bytes` of the file's first `size` could get blocks now, where
 * it is to take them only as they are written.
 *
 * @throws Trouble when the volume has no room
 */
export const ensureRoom = (fd: number, size: number, bytes: number, where: Where): void => {
  const missing = Math.min(missingBytes(fd, size), bytes)
  if (freeBytes(where.directory) < missing) throw noSpace(where, missing)
}
