import { readSync } from 'node:fs'
import { BadImageError } from './bad-image.ts'
import type { Extent } from './parts.ts'

/**
 * The Singularity Image Format, version 01: a header of 128 bytes, a table of
 * descriptors, and what they describe (github.com/apptainer/sif, pkg/sif). Little-endian, packed.
 */

const header = { size: 128, magic: 32, version: 42, total: 88, table: 96, tableSize: 104 }
const magic = 'SIF_MAGIC\0'
const version = '01\0'
const descriptor = { size: 585, type: 0, used: 4, offset: 17, bytes: 25, fileSystem: 201, role: 205, architecture: 209 }
/** Apptainer makes 48; the table of a crafted file must not be read without bound. */
const mostDescriptors = 4096

const partitionType = 0x4004
const fileSystems = new Map<number, SifPartition['fileSystem']>([
  [1, 'squashfs'],
  [2, 'ext3'],
  [3, 'archive'],
  [4, 'raw'],
  [5, 'encrypted squashfs'],
])
const roles = new Map<number, SifPartition['role']>([
  [1, 'system'],
  [2, 'primary'],
  [3, 'data'],
  [4, 'overlay'],
])
const architectures = new Map([
  ['01', 'ia32'],
  ['02', 'x64'],
  ['03', 'arm'],
  ['04', 'arm64'],
  ['05', 'ppc64be'],
  ['06', 'ppc64'],
  ['07', 'mips'],
  ['08', 'mipsel'],
  ['09', 'mips64be'],
  ['10', 'mips64'],
  ['11', 's390x'],
  ['12', 'riscv64'],
])

export interface SifPartition {
  extent: Extent
  fileSystem: 'squashfs' | 'ext3' | 'archive' | 'raw' | 'encrypted squashfs' | 'unknown'
  role: 'system' | 'primary' | 'data' | 'overlay' | 'unknown'
  /** As Node names it (`process.arch`); `unknown` where the file does not tell. */
  architecture: string
}

/** A SIF begins with a launch line of 32 bytes, that of Singularity 2.x with one byte less and another magic. */
export const isSif = (start: Buffer): boolean =>
  start.toString('latin1', header.magic, header.magic + magic.length) === magic

const within = (value: bigint, limit: number, what: string): number => {
  if (value < 0n || value > BigInt(limit))
    throw new BadImageError(`its ${what} lies outside the file: it is cut off or damaged`)
  return Number(value)
}

const range = (offset: bigint, size: bigint, fileSize: number, what: string): Extent => {
  within(offset + size, fileSize, what)
  return { offset: within(offset, fileSize, what), size: within(size, fileSize, what) }
}

const read = (fd: number, { offset, size }: Extent): Buffer => {
  const bytes = Buffer.alloc(size)
  return bytes.subarray(0, readSync(fd, bytes, 0, size, offset))
}

const tableOf = (bytes: Buffer, fileSize: number): Extent => {
  if (bytes.length < header.size) throw new BadImageError('its SIF header is cut off')
  const found = bytes.toString('latin1', header.version, header.version + version.length)
  if (found !== version) throw new BadImageError(`it is SIF version ${JSON.stringify(found)}, and only 01 is known`)
  const total = within(bytes.readBigInt64LE(header.total), mostDescriptors, 'number of descriptors')
  const table = range(
    bytes.readBigInt64LE(header.table),
    bytes.readBigInt64LE(header.tableSize),
    fileSize,
    'descriptor table',
  )
  if (total * descriptor.size > table.size)
    throw new BadImageError('its descriptor table is shorter than it says: it is damaged')
  return { offset: table.offset, size: total * descriptor.size }
}

const partitionOf = (bytes: Buffer, fileSize: number): SifPartition[] => {
  const isPartition = bytes.readUInt8(descriptor.used) !== 0 && bytes.readInt32LE(descriptor.type) === partitionType
  if (!isPartition) return []
  const architecture = bytes.toString('latin1', descriptor.architecture, descriptor.architecture + 2)
  return [
    {
      extent: range(
        bytes.readBigInt64LE(descriptor.offset),
        bytes.readBigInt64LE(descriptor.bytes),
        fileSize,
        'partition',
      ),
      fileSystem: fileSystems.get(bytes.readInt32LE(descriptor.fileSystem)) ?? 'unknown',
      role: roles.get(bytes.readInt32LE(descriptor.role)) ?? 'unknown',
      architecture: architectures.get(architecture) ?? 'unknown',
    },
  ]
}

/**
 * The partitions of the SIF open at `fd`, in the order of their descriptors.
 *
 * @throws BadImageError when a part of it lies outside the file
 */
export const readSifPartitions = (fd: number, fileSize: number): SifPartition[] => {
  const table = tableOf(read(fd, { offset: 0, size: header.size }), fileSize)
  const bytes = read(fd, table)
  if (bytes.length < table.size) throw new BadImageError('its descriptor table is cut off')
  const descriptors = Array.from({ length: table.size / descriptor.size }, (_, index) =>
    bytes.subarray(index * descriptor.size, (index + 1) * descriptor.size),
  )
  return descriptors.flatMap((each) => partitionOf(each, fileSize))
}
