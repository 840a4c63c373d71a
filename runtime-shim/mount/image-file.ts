import { readSync } from 'node:fs'
import { BadImageError } from './bad-image.ts'
import type { Extent, ImageLayer } from './parts.ts'
import { isSif, readSifPartitions, type SifPartition } from './sif.ts'
import { isSquashfs, parseSquashfs, type SquashfsSuperblock, squashfsSuperblockSize } from './squashfs.ts'
import { assertExt3, isExt, readSuperblock } from './superblock.ts'

/** What a file is, told by its bytes. */
export type ImageFile = ImageLayer | { kind: 'sif'; partitions: SifPartition[] }

/** Bytes in which the kernel reads a squashfs: what lies in a shorter one at the end of the device it cannot read. */
const squashfsBlock = 1024
/** To which tools pad a squashfs, and which serves every kernel. */
const padding = 4096
/** As long as a launch line and what tells a file system behind it can be. */
const startSize = 4096
const longestLaunchLine = 256

const readStart = (fd: number, offset: number): Buffer => {
  const bytes = Buffer.alloc(startSize)
  return bytes.subarray(0, readSync(fd, bytes, 0, startSize, offset))
}

const roundUp = (size: number, unit: number): number => Math.ceil(size / unit) * unit

/** Singularity 2.x set a line before the file system, so that the image could be run as a program. */
const afterLaunchLine = (start: Buffer): number | undefined => {
  if (start.toString('latin1', 0, 2) !== '#!') return undefined
  const end = start.subarray(0, longestLaunchLine).indexOf('\n')
  return end < 0 ? undefined : end + 1
}

/** @throws BadImageError */
export const readSquashfs = (fd: number, offset: number): SquashfsSuperblock =>
  parseSquashfs(readStart(fd, offset).subarray(0, squashfsSuperblockSize))

/** A partition may end within the last block; then what follows it in the file is read with it. */
const squashfsLayer = (fd: number, { offset, size }: Extent, fileSize: number): ImageLayer => {
  const { bytesUsed } = readSquashfs(fd, offset)
  if (bytesUsed > size)
    throw new BadImageError(`it is cut off: its squashfs has ${bytesUsed} bytes, of which ${size} are there`)
  const rest = fileSize - offset
  if (roundUp(bytesUsed, squashfsBlock) > rest) {
    throw new BadImageError(
      'its squashfs ends within a block, where the file ends too, and the kernel reads whole blocks',
      `pad it (truncate --size=%${padding})`,
    )
  }
  return { kind: 'squashfs', extent: { offset, size: Math.max(size, Math.min(roundUp(bytesUsed, padding), rest)) } }
}

const ext3Layer = (fd: number, extent: Extent): ImageLayer => {
  const superblock = readSuperblock(fd, extent.offset)
  assertExt3(superblock)
  const bytes = superblock.blocks * superblock.blockSize
  if (bytes > extent.size)
    throw new BadImageError(`it is cut off: its ext3 file system has ${bytes} bytes, of which ${extent.size} are there`)
  return { kind: 'ext3', extent }
}

/** The file system that begins exactly there; undefined when none does. */
const layerAt = (fd: number, extent: Extent, fileSize: number): ImageLayer | undefined => {
  const start = readStart(fd, extent.offset).subarray(0, extent.size)
  if (isSquashfs(start)) return squashfsLayer(fd, extent, fileSize)
  if (isExt(start)) return ext3Layer(fd, extent)
  return undefined
}

/**
 * Tells squashfs, ext3 (both also behind a launch line) and SIF apart, and
 * whether all of it is there.
 *
 * @throws BadImageError
 * @throws NotExt3Error for an ext file system with other features
 */
export const identify = (fd: number, fileSize: number): ImageFile => {
  const start = readStart(fd, 0)
  if (start.length === 0) throw new BadImageError('it is empty')
  if (isSif(start)) return { kind: 'sif', partitions: readSifPartitions(fd, fileSize) }
  for (const offset of [0, afterLaunchLine(start)]) {
    if (offset === undefined) continue
    const layer = layerAt(fd, { offset, size: fileSize - offset }, fileSize)
    if (layer) return layer
  }
  throw new BadImageError('it is neither squashfs nor SIF nor ext3 (bad magic number)')
}

/**
 * The file system in a partition of a SIF.
 *
 * @throws BadImageError when there is none, or another than the descriptor says
 */
export const layerOf = (fd: number, { extent, fileSystem }: SifPartition, fileSize: number): ImageLayer => {
  if (fileSystem !== 'squashfs' && fileSystem !== 'ext3') {
    throw new BadImageError(`its partition is of kind "${fileSystem}", and only squashfs and ext3 can be mounted`)
  }
  const layer = layerAt(fd, extent, fileSize)
  if (layer?.kind === fileSystem) return layer
  throw new BadImageError(`its partition at ${extent.offset} holds no ${fileSystem} (bad magic number): it is damaged`)
}

/**
 * The file system of an overlay's file: the file itself, or the overlay partition of a SIF.
 *
 * @throws BadImageError
 * @throws NotExt3Error
 */
export const overlayLayer = (fd: number, fileSize: number): ImageLayer => {
  const image = identify(fd, fileSize)
  if (image.kind !== 'sif') return image
  const overlays = image.partitions.filter(({ role }) => role === 'overlay')
  const [overlay] = overlays
  if (!overlay || overlays.length > 1)
    throw new BadImageError(`it is a SIF with ${overlays.length} overlay partitions, and must have one`)
  return layerOf(fd, overlay, fileSize)
}
