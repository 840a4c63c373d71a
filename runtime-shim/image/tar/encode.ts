import { bytesOfName } from '../names.ts'
import { type EntryHeader, type EntryType, isStorable } from './entry.ts'
import { blockSize, checksumOf, fieldBytes, fields, paddedSize, TarError } from './header.ts'
import { encodePax } from './pax.ts'
import { encodeLeadingMap, type SparseMap } from './sparse.ts'

const flags: Readonly<Record<EntryType, string>> = {
  file: '0',
  hardlink: '1',
  symlink: '2',
  character: '3',
  block: '4',
  directory: '5',
  fifo: '6',
}

/** squashfs has 32 bits for seconds since 1970. */
const latestTime = 2 ** 32 - 1
/** tar2sqfs takes no larger PAX header. */
const largestPax = 2 ** 16

const octal = (block: Buffer, field: { at: number; length: number }, value: number): void => {
  block.write(value.toString(8).padStart(field.length - 1, '0'), field.at, 'latin1')
}

const headerBlock = (
  flag: string,
  name: string,
  { mode = 0, size = 0, major = 0, minor = 0 }: { mode?: number; size?: number; major?: number; minor?: number },
): Buffer => {
  const block = Buffer.alloc(blockSize)
  bytesOfName(name).copy(fieldBytes(block, fields.name))
  octal(block, fields.mode, mode)
  for (const field of [fields.uid, fields.gid, fields.mtime]) octal(block, field, 0)
  octal(block, fields.size, size)
  block.write(flag, fields.type.at, 'latin1')
  block.write('ustar\x0000', fields.magic.at, 'latin1')
  octal(block, fields.major, major)
  octal(block, fields.minor, minor)
  octal(block, fields.checksum, checksumOf(block).unsigned)
  return block
}

const padded = (bytes: Buffer): Buffer => Buffer.concat([bytes], paddedSize(bytes.length))

/** Larger sizes do not fit the header's eleven octal digits; there the PAX record alone counts. */
const largestOctalSize = 2 ** 33 - 1

/**
 * The blocks that come before the body, in one dialect: PAX, with sparse files
 * in GNU's format 1.0. Leaves out the attributes that are not to be stored.
 *
 * @param bodySize bytes of data that will follow
 * @throws TarError when it has more extended attributes than tar2sqfs takes
 */
export const encodeEntry = (
  entry: EntryHeader,
  { bodySize = 0, sparse }: { bodySize?: number; sparse?: SparseMap | undefined } = {},
): Buffer => {
  const map = sparse ? encodeLeadingMap(sparse) : Buffer.alloc(0)
  const size = map.length + bodySize
  const records = encodePax(
    new Map([
      ['path', entry.name],
      ...(entry.link === '' ? [] : [['linkpath', entry.link] as const]),
      ['uid', String(entry.uid)],
      ['gid', String(entry.gid)],
      ['mtime', String(Math.min(Math.max(entry.mtime, 0), latestTime))],
      ['size', String(size)],
      ...(sparse
        ? ([
            ['GNU.sparse.major', '1'],
            ['GNU.sparse.minor', '0'],
            ['GNU.sparse.realsize', String(sparse.size)],
          ] as const)
        : []),
      ...[...entry.xattrs]
        .filter(([attribute]) => isStorable(attribute, entry.type))
        .map(([attribute, value]) => [`SCHILY.xattr.${attribute}`, value] as const),
    ]),
  )
  if (records.length > largestPax) throw new TarError('its extended attributes are larger than 64 KiB', entry.name)
  return Buffer.concat([
    headerBlock('x', 'pax', { size: records.length }),
    padded(records),
    headerBlock(flags[entry.type], 'pax', { ...entry, size: Math.min(size, largestOctalSize) }),
    map,
  ])
}
