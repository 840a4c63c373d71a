import { readSync, statfsSync } from 'node:fs'
import { descriptorPath } from '../../mount/open.ts'
import type { Extent } from '../../mount/parts.ts'
import type { Figures } from '../../node/ticket.ts'

/** How full an overlay is that is no ext3 file system: it has no errors on record. */
const sound = { needsRecovery: false, errorCount: 0 }

/** Of the file system that the directory is in: the volume's, the share of others in it included. */
export const figuresOfDirectory = (dirfd: number): Figures => {
  const { bsize, blocks, bfree, files, ffree } = statfsSync(descriptorPath(dirfd))
  return { blockSize: bsize, blocks, freeBlocks: bfree, inodes: files, freeInodes: ffree, ...sound }
}

const block = 4096

/** Of a squashfs, which is always full; its superblock tells the inodes (Documentation/filesystems/squashfs.rst in the kernel). */
export const figuresOfSquashfs = (fd: number, { offset, size }: Extent): Figures => {
  const bytes = Buffer.alloc(8)
  readSync(fd, bytes, 0, bytes.length, offset)
  const inodes = bytes.readUInt32LE(4)
  return { blockSize: block, blocks: Math.ceil(size / block), freeBlocks: 0, inodes, freeInodes: 0, ...sound }
}
