import { BadImageError } from './bad-image.ts'

/** The squashfs 4.0 superblock, 96 bytes at the start (Documentation/filesystems/squashfs.rst in the kernel). */
export interface SquashfsSuperblock {
  /** Name of the compressor, or its number where that has no name. */
  compressor: string
  /** Length of the file system. */
  bytesUsed: number
  hasXattrs: boolean
}

export const squashfsSuperblockSize = 96
const magic = 'hsqs'
const compressors = new Map([
  [1, 'gzip'],
  [2, 'lzma'],
  [3, 'lzo'],
  [4, 'xz'],
  [5, 'lz4'],
  [6, 'zstd'],
])
const noTable = 0xffff_ffff_ffff_ffffn

export const isSquashfs = (bytes: Buffer): boolean => bytes.toString('latin1', 0, magic.length) === magic

/** @throws BadImageError when it is cut off or of another version */
export const parseSquashfs = (bytes: Buffer): SquashfsSuperblock => {
  if (bytes.length < squashfsSuperblockSize) throw new BadImageError('its squashfs superblock is cut off')
  const [major, minor] = [bytes.readUInt16LE(28), bytes.readUInt16LE(30)]
  if (major !== 4) throw new BadImageError(`it is squashfs ${major}.${minor}, and the kernel mounts only 4.0`)
  const compressor = bytes.readUInt16LE(20)
  return {
    compressor: compressors.get(compressor) ?? `number ${compressor}`,
    bytesUsed: Number(bytes.readBigUInt64LE(40)),
    hasXattrs: bytes.readBigUInt64LE(56) !== noTable,
  }
}
