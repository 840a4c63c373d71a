import { fstatSync, statfsSync, write } from 'node:fs'
import { promisify } from 'node:util'
import { hasCode } from '../../mount/error-code.ts'
import { fallocate } from '../../mount/syscalls.ts'
import { Trouble } from '../trouble.ts'

const writeAt = promisify(write)

const mebibyte = 2 ** 20
export const mebibytes = (bytes: number): string => `${Math.ceil(bytes / mebibyte)} MiB`

const noSpace = (overlay: string, directory: string, missing: number, cause?: unknown): Trouble => {
  // All that is free, the blocks kept for root among them: so much fallocate(2) may take.
  const { bfree, bsize } = statfsSync(directory)
  return new Trouble(
    'OverlayNoSpace',
    `overlay "${overlay}" needs ${mebibytes(missing)} more in its volume, and ${mebibytes(bfree * bsize)} are free: make room there, or let the claim be larger`,
    { cause },
  )
}

const piece = 16 * mebibyte

/** XFS asks for room for the whole range, also for what is allocated already: a piece at a time it asks for little. */
const fallocatePieces = (fd: number, size: number): void => {
  for (let offset = 0; offset < size; offset += piece) fallocate(fd, offset, Math.min(piece, size - offset))
}

/** For volumes whose file system has no fallocate(2), NFS before 4.2 among them. */
const writeZeros = async (fd: number, from: number, to: number): Promise<void> => {
  const zeros = Buffer.alloc(mebibyte)
  for (let offset = from; offset < to; offset += zeros.length)
    await writeAt(fd, zeros, 0, Math.min(zeros.length, to - offset), offset)
}

/**
 * Backs the file's first `size` bytes by real blocks: on a sparse image in a full
 * volume a write succeeds, and the flush after it fails.
 *
 * @param where for messages, and for what is free
 * @throws Trouble when the volume has no room
 */
export const reserve = async (
  fd: number,
  size: number,
  where: { overlay: string; directory: string },
): Promise<void> => {
  const { overlay, directory } = where
  const { blocks, size: length } = fstatSync(fd)
  const missing = size - blocks * 512
  if (missing <= 0 && length >= size) return
  const { bfree, bsize } = statfsSync(directory)
  if (bfree * bsize < missing) throw noSpace(overlay, directory, missing)
  try {
    try {
      fallocatePieces(fd, size)
    } catch (error) {
      if (!hasCode(error, 'ENOTSUP', 'ENOSYS')) throw error
      await writeZeros(fd, length, size)
    }
  } catch (error) {
    if (!hasCode(error, 'ENOSPC', 'EDQUOT')) throw error
    throw noSpace(overlay, directory, missing, error)
  }
}
