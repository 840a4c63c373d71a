import { nameOfBytes } from '../names.ts'

/** The 512-byte header block of a tar entry: ustar(5), GNU tar's tar.h, and how Go's archive/tar reads them. */

export const blockSize = 512

/** Bytes of a body with its padding to whole blocks. */
export const paddedSize = (size: number): number => Math.ceil(size / blockSize) * blockSize

/** The archive is damaged, or holds what no container engine unpacks. */
export class TarError extends Error {
  override name = 'TarError'
  /** Name of the entry, where it is known. */
  readonly entry: string | undefined
  constructor(problem: string, entry?: string, options?: ErrorOptions) {
    super(problem, options)
    this.entry = entry
  }
}

interface Field {
  at: number
  length: number
}

export const fields = {
  name: { at: 0, length: 100 },
  mode: { at: 100, length: 8 },
  uid: { at: 108, length: 8 },
  gid: { at: 116, length: 8 },
  size: { at: 124, length: 12 },
  mtime: { at: 136, length: 12 },
  checksum: { at: 148, length: 8 },
  type: { at: 156, length: 1 },
  link: { at: 157, length: 100 },
  magic: { at: 257, length: 8 },
  major: { at: 329, length: 8 },
  minor: { at: 337, length: 8 },
  prefix: { at: 345, length: 155 },
  /** Old GNU format, in the place of the prefix. */
  gnuTimes: { at: 345, length: 24 },
  gnuSparse: { at: 386, length: 96 },
  gnuExtended: { at: 482, length: 1 },
  gnuRealSize: { at: 483, length: 12 },
  starPrefix: { at: 345, length: 131 },
  starTrailer: { at: 508, length: 4 },
} as const satisfies Record<string, Field>

export type Format = 'posix' | 'gnu' | 'star' | 'old'

export interface Header {
  format: Format
  /** The type flag, one character. */
  type: string
  name: string
  link: string
  mode: number
  uid: number
  gid: number
  size: number
  mtime: number
  major: number
  minor: number
  /** Every reader of tar understands it in the same way. */
  common: boolean
}

export const fieldBytes = (block: Buffer, { at, length }: Field): Buffer => block.subarray(at, at + length)

/** A field of text, up to its first NUL. */
const text = (block: Buffer, field: Field): string => {
  const bytes = fieldBytes(block, field)
  const end = bytes.indexOf(0)
  return nameOfBytes(end === -1 ? bytes : bytes.subarray(0, end))
}

const binaryNumber = (bytes: Buffer): bigint => {
  const magnitude = BigInt(`0x${bytes.toString('hex')}`)
  const bits = BigInt(bytes.length * 8)
  // The first bit marks the format; the second one is the sign of a two's complement.
  const value = BigInt.asUintN(Number(bits - 1n), magnitude)
  return BigInt.asIntN(Number(bits - 1n), value)
}

/** A field of digits: octal, or GNU's base-256 where its first bit is set. @throws TarError */
export const parseNumber = (bytes: Buffer): number => {
  const first = bytes[0] ?? 0
  if ((first & 0x80) !== 0) {
    const value = Number(binaryNumber(bytes))
    if (!Number.isSafeInteger(value)) throw new TarError('a number in the header is out of range')
    return value
  }
  const digits = /^[ \0]*([^\0]*?) *(\0|$)/.exec(nameOfBytes(bytes))?.[1] ?? ''
  if (digits === '') return 0
  if (!/^[0-7]+$/.test(digits)) throw new TarError('a number in the header is not one')
  return Number.parseInt(digits, 8)
}

const isCommonNumber = (bytes: Buffer): boolean =>
  ((bytes[0] ?? 0) & 0x80) !== 0 || /^ *[0-7]*[ \0]*$/.test(nameOfBytes(bytes))

/** Sum of the block's bytes with the checksum's own read as blanks. */
export const checksumOf = (block: Buffer): { unsigned: number; signed: number } => {
  const { at, length } = fields.checksum
  let unsigned = length * 0x20
  let high = 0
  for (let index = 0; index < blockSize; index++) {
    if (index >= at && index < at + length) continue
    const byte = block[index] ?? 0
    unsigned += byte
    if (byte >= 0x80) high += 1
  }
  return { unsigned, signed: unsigned - high * 0x100 }
}

const formatOf = (block: Buffer): Format => {
  const magic = nameOfBytes(fieldBytes(block, fields.magic))
  if (magic === 'ustar  \0') return 'gnu'
  if (!magic.startsWith('ustar\0')) return 'old'
  return nameOfBytes(fieldBytes(block, fields.starTrailer)) === 'tar\0' ? 'star' : 'posix'
}

/**
 * Go before 1.8 wrote a prefix where the GNU format has times; images of then
 * are still about. What is no number there must be one.
 */
const isStrayPrefix = (block: Buffer): boolean => {
  const { at, length } = fields.gnuTimes
  try {
    for (const start of [at, at + length / 2]) parseNumber(block.subarray(start, start + length / 2))
    return false
  } catch {
    return /^\p{ASCII}*$/u.test(text(block, fields.prefix))
  }
}

const prefixOf = (block: Buffer, format: Format): string => {
  if (format === 'posix') return text(block, fields.prefix)
  if (format === 'star') return text(block, fields.starPrefix)
  return format === 'gnu' && isStrayPrefix(block) ? text(block, fields.prefix) : ''
}

const numbers = ['mode', 'uid', 'gid', 'size', 'mtime', 'major', 'minor'] as const

/** @throws TarError */
export const parseHeader = (block: Buffer): Header => {
  const sum = checksumOf(block)
  const written = parseNumber(fieldBytes(block, fields.checksum))
  if (written !== sum.unsigned && written !== sum.signed) throw new TarError('the checksum of a header is wrong')
  const format = formatOf(block)
  const prefix = prefixOf(block, format)
  const name = text(block, fields.name)
  const number = (field: (typeof numbers)[number]): number => parseNumber(fieldBytes(block, fields[field]))
  const version = nameOfBytes(fieldBytes(block, fields.magic)).slice(6)
  return {
    format,
    type: String.fromCharCode(block[fields.type.at] ?? 0),
    name: prefix === '' ? name : `${prefix}/${name}`,
    link: text(block, fields.link),
    mode: number('mode'),
    uid: number('uid'),
    gid: number('gid'),
    size: number('size'),
    mtime: number('mtime'),
    major: format === 'old' ? 0 : number('major'),
    minor: format === 'old' ? 0 : number('minor'),
    common:
      written === sum.unsigned &&
      ((format === 'posix' && version === '00') || (format === 'gnu' && prefix === '')) &&
      numbers.every((field) => isCommonNumber(fieldBytes(block, fields[field]))),
  }
}

export const isZeroBlock = (block: Buffer): boolean => block.every((byte) => byte === 0)
