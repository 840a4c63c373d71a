/**
 * Tar archives byte by byte, for tests: every dialect and every oddity, written
 * without the code under test.
 */

type Format = 'posix' | 'gnu' | 'star' | 'v7'

export interface Item {
  name: string
  /** Type flag; `0`, a file, by default. */
  type?: string
  body?: Buffer | string
  link?: string
  mode?: number
  uid?: number
  gid?: number
  mtime?: number
  major?: number
  minor?: number
  format?: Format
  /** ustar's prefix field. */
  prefix?: string
  /** PAX records: before the entry as header `x`. */
  pax?: Record<string, string>
  /** Size field, where it is not the body's. */
  size?: number
  /** Bytes written over the finished header before its checksum is. */
  patch?: { at: number; bytes: Buffer | string }[]
  /** Sum the header's bytes as signed, as some old tars did. */
  signedChecksum?: boolean
}

const latin1 = (text: string): Buffer => Buffer.from(text, 'latin1')

/** Octal where it fits, else GNU's base-256. */
const number = (value: number, length: number): Buffer => {
  if (value >= 0 && value < 8 ** (length - 1)) return latin1(`${value.toString(8).padStart(length - 1, '0')}\0`)
  const bytes = Buffer.alloc(length)
  const bits = BigInt(length * 8)
  bytes.write(
    BigInt.asUintN(Number(bits), BigInt(value))
      .toString(16)
      .padStart(length * 2, '0'),
    'hex',
  )
  bytes[0] = (bytes[0] ?? 0) | 0x80
  return bytes
}

const pad = (bytes: Buffer): Buffer => Buffer.concat([bytes], Math.ceil(bytes.length / 512) * 512)

const record = (key: string, value: string): string => {
  const rest = ` ${key}=${value}\n`
  const length = [1, 2, 3, 4, 5]
    .map((digits) => rest.length + digits)
    .find((sum) => String(sum).length + rest.length === sum)
  return `${length}${rest}`
}

export const paxRecords = (records: Record<string, string>): Buffer =>
  latin1(
    Object.entries(records)
      .map(([key, value]) => record(key, value))
      .join(''),
  )

const magic: Record<Format, string> = {
  posix: 'ustar\x0000',
  gnu: 'ustar  \0',
  star: 'ustar\x0000',
  v7: '\0'.repeat(8),
}

export const headerBlock = (item: Item): Buffer => {
  const { name, type = '0', link = '', format = 'posix', prefix = '', patch = [] } = item
  const body = Buffer.from(item.body ?? '')
  const block = Buffer.alloc(512)
  const put = (at: number, bytes: Buffer): void => void bytes.copy(block, at)
  put(0, latin1(name).subarray(0, 100))
  put(100, number(item.mode ?? 0o644, 8))
  put(108, number(item.uid ?? 0, 8))
  put(116, number(item.gid ?? 0, 8))
  put(124, number(item.size ?? body.length, 12))
  put(136, number(item.mtime ?? 1_000_000_000, 12))
  put(156, latin1(type))
  put(157, latin1(link).subarray(0, 100))
  put(257, latin1(magic[format]))
  put(329, number(item.major ?? 0, 8))
  put(337, number(item.minor ?? 0, 8))
  put(345, latin1(prefix))
  if (format === 'star') put(508, latin1('tar\0'))
  for (const { at, bytes } of patch) put(at, typeof bytes === 'string' ? latin1(bytes) : bytes)
  put(148, latin1('        '))
  const sum = block.reduce((total, byte) => total + (item.signedChecksum && byte > 127 ? byte - 256 : byte), 0)
  put(148, latin1(`${sum.toString(8).padStart(6, '0')}\0 `))
  return block
}

/** GNU's long name or link: a header of its own before the entry's. */
export const longName = (type: 'L' | 'K', text: string): Buffer =>
  Buffer.concat([
    headerBlock({ name: '././@LongLink', type, format: 'gnu', body: latin1(`${text}\0`) }),
    pad(latin1(`${text}\0`)),
  ])

export const entry = (item: Item): Buffer => {
  const records = item.pax ? paxRecords(item.pax) : Buffer.alloc(0)
  return Buffer.concat([
    ...(item.pax ? [headerBlock({ name: 'pax', type: 'x', body: records }), pad(records)] : []),
    headerBlock(item),
    pad(Buffer.from(item.body ?? '')),
  ])
}

export const directory = (name: string, more: Partial<Item> = {}): Buffer =>
  entry({ name, type: '5', mode: 0o755, ...more })
export const file = (name: string, body: Buffer | string = '', more: Partial<Item> = {}): Buffer =>
  entry({ name, body, ...more })
export const symlink = (name: string, link: string, more: Partial<Item> = {}): Buffer =>
  entry({ name, type: '2', link, mode: 0o777, ...more })
export const hardLink = (name: string, link: string, more: Partial<Item> = {}): Buffer =>
  entry({ name, type: '1', link, ...more })
export const whiteout = (path: string): Buffer => file(path.replace(/([^/]+)$/, '.wh.$1'))
export const opaque = (path: string): Buffer => file(`${path === '' ? '' : `${path}/`}.wh..wh..opq`)

export const archive = (...parts: Buffer[]): Buffer => Buffer.concat([...parts, Buffer.alloc(1024)])
