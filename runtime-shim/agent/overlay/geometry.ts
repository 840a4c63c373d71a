import { readSync } from 'node:fs'

/**
 * How an ext3 file system is laid out, as far as making and growing it need to
 * know: from its superblock (Documentation/filesystems/ext4/super.rst and
 * group_descr.rst in the kernel).
 */
export interface Geometry {
  blockSize: number
  blocks: number
  /** 1 with blocks of 1 KiB, else 0. */
  firstBlock: number
  blocksPerGroup: number
  /** Of the inode table of one group. */
  tableBlocks: number
  /** Kept behind the group descriptors, for those of groups to come. */
  reservedDescriptorBlocks: number
  /** Bytes. */
  journal: number
  /** Copies of the superblock in few groups only. */
  sparse: boolean
  /** Descriptors lie with their groups, and need no room kept for them. */
  metaBg: boolean
}

const start = 1024
const size = 1024
const descriptorSize = 32
const firstInodeSize = 128
const feature = { metaBg: 0x0010, sparseSuper: 0x0001 } as const

/** Reads it from the superblock of the file system at `offset`, of which it is known that it is ext3. */
export const readGeometry = (fd: number, offset = 0): Geometry => {
  const bytes = Buffer.alloc(size)
  readSync(fd, bytes, 0, size, offset + start)
  const blockSize = 1024 << bytes.readUInt32LE(0x18)
  const revision = bytes.readUInt32LE(0x4c)
  const inodeSize = revision === 0 ? firstInodeSize : bytes.readUInt16LE(0x58)
  return {
    blockSize,
    blocks: bytes.readUInt32LE(0x04),
    firstBlock: bytes.readUInt32LE(0x14),
    blocksPerGroup: bytes.readUInt32LE(0x20),
    tableBlocks: Math.ceil((bytes.readUInt32LE(0x28) * inodeSize) / blockSize),
    reservedDescriptorBlocks: bytes.readUInt16LE(0xce),
    // The last two words of `s_jnl_blocks`: the journal's length, high and low.
    journal: bytes.readUInt32LE(0x148) * 2 ** 32 + bytes.readUInt32LE(0x14c),
    sparse: (bytes.readUInt32LE(0x64) & feature.sparseSuper) !== 0,
    metaBg: (bytes.readUInt32LE(0x60) & feature.metaBg) !== 0,
  }
}

const groupsOf = ({ firstBlock, blocksPerGroup }: Geometry, blocks: number): number =>
  Math.ceil((blocks - firstBlock) / blocksPerGroup)

const descriptorBlocksOf = (geometry: Geometry, blocks: number): number =>
  Math.ceil((groupsOf(geometry, blocks) * descriptorSize) / geometry.blockSize)

const isPowerOf = (base: number, value: number): boolean => {
  let power = base
  while (power < value) power *= base
  return power === value
}

const hasSuperblock = ({ sparse }: Geometry, group: number): boolean =>
  !sparse || group <= 1 || [3, 5, 7].some((base) => isPowerOf(base, group))

/** Blocks of the group that hold no data, when the file system has that many groups. */
const overheadOf = (geometry: Geometry, group: number, blocks: number): number => {
  const own = 2 + geometry.tableBlocks
  if (!hasSuperblock(geometry, group)) return own
  const kept = descriptorBlocksOf(geometry, geometry.blocks) + geometry.reservedDescriptorBlocks
  return own + 1 + Math.max(kept, descriptorBlocksOf(geometry, blocks))
}

/** mke2fs and resize2fs leave out a last group with less room for data (ext2fs_initialize, adjust_fs_info). */
const leastDataBlocks = 50

/** The blocks that the file system has when it is made as large as so many bytes permit. */
export const reachableBlocks = (geometry: Geometry, bytes: number): number => {
  const { blockSize, firstBlock, blocksPerGroup } = geometry
  const blocks = Math.floor(bytes / blockSize)
  const rest = (blocks - firstBlock) % blocksPerGroup
  const last = groupsOf(geometry, blocks) - 1
  return last > 0 && rest > 0 && rest < overheadOf(geometry, last, blocks) + leastDataBlocks ? blocks - rest : blocks
}

/** The most blocks to which it can grow without anything in it being moved. */
export const growthLimit = (geometry: Geometry): number => {
  const { blockSize, firstBlock, blocksPerGroup, reservedDescriptorBlocks, metaBg } = geometry
  if (metaBg) return Number.POSITIVE_INFINITY
  const descriptors = descriptorBlocksOf(geometry, geometry.blocks) + reservedDescriptorBlocks
  return firstBlock + Math.floor((descriptors * blockSize) / descriptorSize) * blocksPerGroup
}

/** Bytes that are not the files' when it has so many: what a check or a growth may write, at most. */
export const metadataBytes = (geometry: Geometry, bytes: number): number => {
  const blocks = Math.floor(bytes / geometry.blockSize)
  const overhead = Array.from({ length: groupsOf(geometry, blocks) }, (_, group) => overheadOf(geometry, group, blocks))
  return overhead.reduce((sum, each) => sum + each, 0) * geometry.blockSize + geometry.journal
}
