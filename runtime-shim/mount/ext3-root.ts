import { readSync } from 'node:fs'
import { overlayRecordName } from './names.ts'

/**
 * What lies in the root of an ext3 file system, read from its bytes: nothing is
 * to be mounted to find out. Damage shows as names that are missing.
 * (Documentation/filesystems/ext4 in the kernel: super, group_descr, inodes, directory)
 */

const superblock = { offset: 1024, size: 1024, blockSize: 0x18, firstBlock: 0x14, inodeSize: 0x58, revision: 0x4c }
const firstInodeSize = 128
const groupDescriptor = { size: 32, inodeTable: 8 }
const inode = { size: 4, blocks: 40, bytes: 128 }
/** The root is inode 2, and inodes count from 1. */
const rootIndex = 1
/** Larger directories have more blocks, which are not looked at. */
const directBlocks = 12
const entry = { header: 8, length: 4, nameLength: 6 }

const readAt = (fd: number, size: number, position: number): Buffer => {
  const bytes = Buffer.alloc(size)
  readSync(fd, bytes, 0, size, position)
  return bytes
}

/** Entries in use; an index block of a hashed directory has none but `.` and `..`. */
const namesIn = (block: Buffer): string[] => {
  const names: string[] = []
  for (let at = 0; at + entry.header <= block.length; ) {
    const length = block.readUInt16LE(at + entry.length)
    const nameLength = block.readUInt8(at + entry.nameLength)
    if (length < entry.header || entry.header + nameLength > length) break
    const start = at + entry.header
    if (block.readUInt32LE(at) !== 0) names.push(block.toString('latin1', start, start + nameLength))
    at += length
  }
  return names
}

/** Names in the root directory of the file system that begins at `offset`, without `.` and `..`. */
export const namesInRoot = (fd: number, offset: number): string[] => {
  const head = readAt(fd, superblock.size, offset + superblock.offset)
  const blockSize = 1024 << Math.min(head.readUInt32LE(superblock.blockSize), 6)
  const block = (number: number): number => offset + number * blockSize
  const inodeSize =
    head.readUInt32LE(superblock.revision) === 0 ? firstInodeSize : head.readUInt16LE(superblock.inodeSize)
  const descriptors = block(head.readUInt32LE(superblock.firstBlock) + 1)
  const table = readAt(fd, groupDescriptor.size, descriptors).readUInt32LE(groupDescriptor.inodeTable)
  const root = readAt(fd, inode.bytes, block(table) + rootIndex * inodeSize)
  const count = Math.min(Math.ceil(root.readUInt32LE(inode.size) / blockSize), directBlocks)
  const numbers = Array.from({ length: count }, (_, index) => root.readUInt32LE(inode.blocks + 4 * index))
  return numbers
    .filter((number) => number !== 0)
    .flatMap((number) => namesIn(readAt(fd, blockSize, block(number))))
    .filter((name) => name !== '.' && name !== '..')
}

const ofOverlays = new Set(['lost+found', 'upper', 'work', overlayRecordName])

/** Whether it is laid out as Apptainer's overlays are, and holds nothing beside. */
export const isOverlayRoot = (names: readonly string[]): boolean =>
  names.includes('upper') &&
  names.includes('work') &&
  names.every((name) => ofOverlays.has(name) || name.startsWith('.'))
