import { readSync } from 'node:fs'

/** How full the file system is, and in what state. */
export interface Figures {
  blockSize: number
  blocks: number
  freeBlocks: number
  inodes: number
  freeInodes: number
  /** The journal holds transactions that are not yet in place: not cleanly unmounted. */
  needsRecovery: boolean
  /** The kernel noted errors: `s_state` has the error bit or `s_error_count` is not zero. */
  errorCount: number
}

/**
 * The ext2/3/4 superblock, 1024 bytes at offset 1024
 * (Documentation/filesystems/ext4/super.rst in the kernel).
 */
export interface Superblock extends Figures {
  features: { compat: number; incompat: number; roCompat: number }
}

const start = 1024
const size = 1024
const magic = { value: 0xef53, offset: 0x38 }
const stateErrors = 0x0002

const incompat = { filetype: 0x0002, recover: 0x0004, metaBg: 0x0010 } as const
const compat = { hasJournal: 0x0004 } as const
const roCompat = { sparseSuper: 0x0001, largeFile: 0x0002, btreeDir: 0x0004 } as const

/** The image is not an ext3 file system that can be mounted as an overlay. */
export class NotExt3Error extends Error {
  override name = 'NotExt3Error'
}

/** Whether a file system of the ext family begins with these bytes. */
export const isExt = (bytes: Buffer): boolean =>
  bytes.length >= start + size && bytes.readUInt16LE(start + magic.offset) === magic.value

/** @throws NotExt3Error when the magic number is missing */
export const parseSuperblock = (bytes: Buffer): Superblock => {
  if (bytes.length < size || bytes.readUInt16LE(magic.offset) !== magic.value) {
    throw new NotExt3Error('no ext3 superblock (bad magic number)')
  }
  const errors = bytes.readUInt32LE(0x194)
  const inError = (bytes.readUInt16LE(0x3a) & stateErrors) !== 0
  const features = {
    compat: bytes.readUInt32LE(0x5c),
    incompat: bytes.readUInt32LE(0x60),
    roCompat: bytes.readUInt32LE(0x64),
  }
  return {
    blockSize: 1024 << bytes.readUInt32LE(0x18),
    blocks: bytes.readUInt32LE(0x04),
    freeBlocks: bytes.readUInt32LE(0x0c),
    inodes: bytes.readUInt32LE(0x00),
    freeInodes: bytes.readUInt32LE(0x10),
    needsRecovery: (features.incompat & incompat.recover) !== 0,
    errorCount: Math.max(errors, inError ? 1 : 0),
    features,
  }
}

/** Bytes of an image or block device whose file system begins at `fileSystem`. */
export const superblockAt = (fileSystem: number): { offset: number; size: number } => ({
  offset: fileSystem + start,
  size,
})

/** Reads the superblock of the image or block device open at `fd`, whose file system begins at `offset`. */
export const readSuperblock = (fd: number, offset = 0): Superblock => {
  const bytes = Buffer.alloc(size)
  const length = readSync(fd, bytes, 0, size, offset + start)
  return parseSuperblock(bytes.subarray(0, length))
}

export const figuresOf = ({ features: _, ...figures }: Superblock): Figures => figures

const accepted = {
  incompat: incompat.filetype | incompat.recover | incompat.metaBg,
  roCompat: roCompat.sparseSuper | roCompat.largeFile | roCompat.btreeDir,
}

/**
 * The rules by which Apptainer accepts an ext3 image (pkg/image/ext3.go), and so do we:
 * images stay exchangeable.
 *
 * @throws NotExt3Error naming the feature that is missing or too much
 */
export const assertExt3 = ({ features }: Superblock): void => {
  if ((features.compat & compat.hasJournal) === 0) throw new NotExt3Error('the file system has no journal: it is ext2')
  const surplus = (features.incompat & ~accepted.incompat) >>> 0
  const surplusRo = (features.roCompat & ~accepted.roCompat) >>> 0
  if (surplus !== 0 || surplusRo !== 0) {
    const bits = `incompat 0x${surplus.toString(16)}, ro_compat 0x${surplusRo.toString(16)}`
    throw new NotExt3Error(`the file system has features that ext3 lacks (${bits}): make it with mkfs.ext3`)
  }
}
