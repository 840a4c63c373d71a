import { nameOfBytes } from '../names.ts'
import { blockSize, fieldBytes, fields, parseNumber, TarError } from './header.ts'
import type { PaxRecords } from './pax.ts'

/** GNU tar's sparse files ("Storing Sparse Files" in its manual): only the extents with data are in the archive. */

export interface Extent {
  offset: number
  length: number
}

export interface SparseMap {
  /** Apparent size of the file. */
  size: number
  extents: readonly Extent[]
}

/** Reads the next block of the archive. */
export type ReadBlock = () => Promise<Buffer>

/** As many as GNU tar would write into one map of 1 MiB, Go's limit. */
const mostNumbers = 2 ** 17
/** A sparse file costs the reader memory by its apparent size; nothing real is larger. */
const largestSize = 2 ** 42

/** @throws TarError */
const checked = (size: number, extents: readonly Extent[], stored: number): SparseMap => {
  let end = 0
  let sum = 0
  for (const { offset, length } of extents) {
    if (offset < end) throw new TarError('the extents of a sparse file overlap')
    end = offset + length
    sum += length
  }
  if (end > size || sum !== stored) throw new TarError('the extents of a sparse file do not add up to its size')
  if (size > largestSize) throw new TarError(`a sparse file of ${size} bytes is larger than the 4 TiB that are taken`)
  return { size, extents }
}

const decimal = (text: string): number => {
  const value = /^\d+$/.test(text) ? Number(text) : Number.NaN
  if (!Number.isSafeInteger(value)) throw new TarError('a number in a sparse map is not one')
  return value
}

const pairs = (numbers: readonly number[]): Extent[] =>
  Array.from({ length: Math.floor(numbers.length / 2) }, (_, index) => ({
    offset: numbers[index * 2] ?? 0,
    length: numbers[index * 2 + 1] ?? 0,
  }))

const oldEntrySize = 24

const oldExtents = (bytes: Buffer): Extent[] => {
  const extents: Extent[] = []
  for (let at = 0; at + oldEntrySize <= bytes.length && bytes[at] !== 0; at += oldEntrySize) {
    const offset = parseNumber(bytes.subarray(at, at + oldEntrySize / 2))
    const length = parseNumber(bytes.subarray(at + oldEntrySize / 2, at + oldEntrySize))
    extents.push({ offset, length })
  }
  return extents
}

/** The old GNU format, type `S`: four extents in the header, 21 in each block that follows. */
export const readOldSparse = async (header: Buffer, stored: number, readBlock: ReadBlock): Promise<SparseMap> => {
  const extents = oldExtents(fieldBytes(header, fields.gnuSparse))
  const extendedAt = 21 * oldEntrySize
  let extended = header[fields.gnuExtended.at] !== 0
  while (extended) {
    const block = await readBlock()
    extents.push(...oldExtents(block.subarray(0, extendedAt)))
    extended = block[extendedAt] !== 0
    if (extents.length * 2 > mostNumbers) throw new TarError('a sparse file has too many extents')
  }
  return checked(parseNumber(fieldBytes(header, fields.gnuRealSize)), extents, stored)
}

/** The map that format 1.0 puts before the data: decimal numbers, a line each, in whole blocks. */
const readLeadingMap = async (readBlock: ReadBlock): Promise<{ numbers: number[]; bytes: number }> => {
  const blocks: string[] = []
  let lines = 0
  let wanted = 1
  while (lines < wanted) {
    const block = nameOfBytes(await readBlock())
    if (lines === 0 && block.includes('\n')) {
      wanted = 1 + 2 * decimal([...blocks, block].join('').split('\n', 1)[0] ?? '')
    }
    if (wanted > mostNumbers || blocks.length > mostNumbers) throw new TarError('a sparse file has too many extents')
    lines += block.split('\n').length - 1
    blocks.push(block)
  }
  const numbers = blocks.join('').split('\n', wanted).slice(1).map(decimal)
  return { numbers, bytes: blocks.length * blockSize }
}

/**
 * Formats 0.0, 0.1 (the map is in the PAX header) and 1.0. Undefined for a file
 * that is not sparse.
 *
 * @param stored size of the body in the archive
 * @throws TarError
 */
export const readPaxSparse = async (
  records: PaxRecords,
  stored: number,
  readBlock: ReadBlock,
): Promise<SparseMap | undefined> => {
  const version = [records.get('GNU.sparse.major'), records.get('GNU.sparse.minor')].join('.')
  const map = records.get('GNU.sparse.map') ?? ''
  const size = decimal(records.get('GNU.sparse.size') ?? records.get('GNU.sparse.realsize') ?? String(stored))
  if (version === '1.0') {
    const { numbers, bytes } = await readLeadingMap(readBlock)
    return checked(size, pairs(numbers), stored - bytes)
  }
  if (version === '0.0' || version === '0.1' || (version === '.' && map !== '')) {
    return checked(size, pairs(map === '' ? [] : map.split(',').map(decimal)), stored)
  }
  return undefined
}

/** The map for format 1.0, padded to whole blocks. As GNU tar does it, a file without data has one empty extent at its end. */
export const encodeLeadingMap = ({ size, extents }: SparseMap): Buffer => {
  const some = extents.length > 0 ? extents : [{ offset: size, length: 0 }]
  const text = [some.length, ...some.flatMap(({ offset, length }) => [offset, length])].join('\n')
  const bytes = Buffer.from(`${text}\n`)
  return Buffer.concat([bytes], Math.ceil(bytes.length / blockSize) * blockSize)
}
