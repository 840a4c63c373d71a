import { readSync } from 'node:fs'
import { isExt, NotExt3Error, parseSuperblock } from '../../mount/superblock.ts'

export interface SuperblockCopy {
  /** Number of the block that it is in. */
  block: number
  blockSize: number
}

/** The second group has the first copy; a group has eight times as many blocks as a block has bytes. */
const places: readonly SuperblockCopy[] = [
  { block: 8193, blockSize: 1024 },
  { block: 16_384, blockSize: 2048 },
  { block: 32_768, blockSize: 4096 },
]

const superblockSize = 1024

const isThere = (fd: number, { block, blockSize }: SuperblockCopy): boolean => {
  const bytes = Buffer.alloc(superblockSize)
  const length = readSync(fd, bytes, 0, bytes.length, block * blockSize)
  try {
    return parseSuperblock(bytes.subarray(0, length)).blockSize === blockSize
  } catch (error) {
    if (error instanceof NotExt3Error) return false
    throw error
  }
}

/** By which e2fsck finds a file system whose superblock itself is lost; one of a single group has no copy. */
export const superblockCopy = (fd: number): SuperblockCopy | undefined => places.find((place) => isThere(fd, place))

/** Whether the file system at `offset` has its superblock. */
export const hasSuperblock = (fd: number, offset: number): boolean => {
  const bytes = Buffer.alloc(2 * superblockSize)
  return isExt(bytes.subarray(0, readSync(fd, bytes, 0, bytes.length, offset)))
}
