import { nameOfBytes } from '../names.ts'
import { TarError } from './header.ts'

/** Records of a PAX extended header (pax(1), "Extended Header"): keys and values as bytes. */
export type PaxRecords = ReadonlyMap<string, string>

const sparsePair = ['GNU.sparse.offset', 'GNU.sparse.numbytes']
/** No NUL may be in these: it would end the name for some readers. */
const textKeys = new Set(['path', 'linkpath', 'uname', 'gname', 'GNU.sparse.name'])

const isValid = (key: string, value: string): boolean => key !== '' && !(textKeys.has(key) ? value : key).includes('\0')

/**
 * Of a key that comes twice the last one counts. The pairs of GNU's sparse format
 * 0.0, which come once an extent, are made the `GNU.sparse.map` of format 0.1.
 *
 * @throws TarError
 */
export const parsePax = (bytes: Buffer): PaxRecords => {
  const all = nameOfBytes(bytes)
  const records = new Map<string, string>()
  const extents: string[] = []
  for (let at = 0; at < all.length; ) {
    const space = all.indexOf(' ', at)
    const digits = all.slice(at, space)
    const end = at + Number(digits)
    const equals = all.indexOf('=', space)
    if (space === -1 || !/^\d+$/.test(digits) || end > all.length || equals === -1 || equals >= end) {
      throw new TarError('a PAX header is malformed')
    }
    const key = all.slice(space + 1, equals)
    const value = all.slice(equals + 1, end - 1)
    if (all[end - 1] !== '\n' || !isValid(key, value)) throw new TarError('a PAX header is malformed')
    if (sparsePair[extents.length % 2] === key) extents.push(value)
    else if (sparsePair.includes(key)) throw new TarError('the sparse map of a PAX header is malformed')
    else records.set(key, value)
    at = end
  }
  if (extents.length > 0) records.set('GNU.sparse.map', extents.join(','))
  return records
}

/** One record: its length, which counts itself, in decimal digits, then key and value. */
const encodeRecord = (key: string, value: string): string => {
  const rest = ` ${key}=${value}\n`
  let length = rest.length
  while (`${length}${rest}`.length !== length) length = `${length}${rest}`.length
  return `${length}${rest}`
}

export const encodePax = (records: PaxRecords): Buffer =>
  Buffer.from([...records].map(([key, value]) => encodeRecord(key, value)).join(''), 'latin1')
