import { nameOfBytes } from '../names.ts'
import { type ByteReader, TruncatedError } from './bytes.ts'
import { type EntryHeader, type EntryType, isStorable, type TarEntry } from './entry.ts'
import { blockSize, type Header, isZeroBlock, paddedSize, parseHeader, TarError } from './header.ts'
import { type PaxRecords, parsePax } from './pax.ts'
import { type ReadBlock, readOldSparse, readPaxSparse } from './sparse.ts'

/** Of long names and PAX headers: Go's limit for what is read, and tar2sqfs' for what it takes. */
const largestMeta = 2 ** 20
const largestForwardedMeta = 2 ** 16

/** 2^32 - 1 means "no change" to chown(2). */
const largestId = 2 ** 32 - 2
const largestMajor = 2 ** 12 - 1
const largestMinor = 2 ** 20 - 1

const types: Readonly<Record<string, EntryType>> = {
  '0': 'file',
  '\0': 'file',
  '1': 'hardlink',
  '2': 'symlink',
  '3': 'character',
  '4': 'block',
  '5': 'directory',
  '6': 'fifo',
  S: 'file',
}

/** What comes before an entry's own header and says more of it. */
interface Meta {
  /** Type flags in order: `x` PAX, `L` long name, `K` long link. */
  kinds: string
  blocks: readonly Buffer[]
  largest: number
  pax: PaxRecords
  longName: string
  longLink: string
}

const noMeta: Meta = { kinds: '', blocks: [], largest: 0, pax: new Map(), longName: '', longLink: '' }

/** Undefined at the end of the archive. */
const readHeaderBlock = async (source: ByteReader): Promise<Buffer | undefined> => {
  const block = await source.read(blockSize)
  if (!block || !isZeroBlock(block)) return block
  const second = await source.read(blockSize)
  if (second && !isZeroBlock(second)) throw new TarError('an empty block is followed by more')
  return undefined
}

const mustRead = async (source: ByteReader, size: number): Promise<Buffer> => {
  const bytes = size === 0 ? Buffer.alloc(0) : await source.read(size)
  if (!bytes) throw new TruncatedError(`the archive ends ${size} bytes early`)
  return bytes
}

const untilNul = (bytes: Buffer): string => nameOfBytes(bytes).split('\0', 1)[0] ?? ''

const withMeta = (meta: Meta, type: string, size: number, [block, body]: [Buffer, Buffer]): Meta => {
  const data = body.subarray(0, size)
  const next = {
    ...meta,
    kinds: meta.kinds + type,
    blocks: [...meta.blocks, block, body],
    largest: Math.max(meta.largest, size),
  }
  if (type === 'x') return { ...next, pax: parsePax(data) }
  return type === 'L' ? { ...next, longName: untilNul(data) } : { ...next, longLink: untilNul(data) }
}

const integer = (text: string, what: string): number => {
  const value = /^[-+]?\d+$/.test(text) ? Number(text) : Number.NaN
  if (!Number.isSafeInteger(value)) throw new TarError(`${what} in a PAX header is no number`)
  return value
}

/** The record where it says something, else the header's field. */
const numberOf = (pax: PaxRecords, key: 'uid' | 'gid' | 'size', otherwise: number, largest: number): number => {
  const text = pax.get(key) ?? ''
  const value = text === '' ? otherwise : integer(text, key)
  if (value < 0 || value > largest) throw new TarError(`${key} ${value} is out of range`)
  return value
}

/** Whole seconds, the fraction cut off: as a float it could round up. */
const mtimeOf = (pax: PaxRecords, otherwise: number): number => {
  const text = pax.get('mtime') ?? ''
  return text === '' ? otherwise : integer(text.replace(/\.\d*$/, ''), 'mtime')
}

const xattrPrefix = 'SCHILY.xattr.'
const noXattrs: EntryHeader['xattrs'] = new Map()

const xattrsOf = (pax: PaxRecords): EntryHeader['xattrs'] => {
  const found = [...pax].filter(([key]) => key.startsWith(xattrPrefix))
  return found.length === 0 ? noXattrs : new Map(found.map(([key, value]) => [key.slice(xattrPrefix.length), value]))
}

const typeOf = (flag: string, name: string): EntryType => {
  const type = types[flag]
  if (!type) throw new TarError(`entries of type "${flag}" are not supported`)
  return flag === '\0' && name.endsWith('/') ? 'directory' : type
}

const nameOf = (header: Header, { pax, longName }: Meta): string => longName || pax.get('path') || header.name

const describe = (header: Header, meta: Meta): EntryHeader => {
  const { pax, longLink } = meta
  const name = nameOf(header, meta)
  const type = typeOf(header.type, name)
  const isLink = type === 'symlink' || type === 'hardlink'
  const isDevice = type === 'character' || type === 'block'
  if (
    isDevice &&
    (header.major > largestMajor || header.minor > largestMinor || header.major < 0 || header.minor < 0)
  ) {
    throw new TarError(`device number ${header.major}:${header.minor} is out of range`)
  }
  return {
    type,
    name,
    link: isLink ? longLink || pax.get('linkpath') || header.link : '',
    mode: header.mode & 0o7777,
    uid: numberOf(pax, 'uid', header.uid, largestId),
    gid: numberOf(pax, 'gid', header.gid, largestId),
    mtime: mtimeOf(pax, header.mtime),
    major: isDevice ? header.major : 0,
    minor: isDevice ? header.minor : 0,
    xattrs: xattrsOf(pax),
  }
}

/** Records whose value tar2sqfs reads as we do. */
const plainRecords: Readonly<Record<string, RegExp>> = {
  path: /./s,
  linkpath: /./s,
  uid: /^\d+$/,
  gid: /^\d+$/,
  size: /^\d+$/,
  mtime: /^-?\d+(\.\d*)?$/,
}

const isPlain = ([key, value]: [string, string]): boolean =>
  /^[^\s]/.test(key) &&
  !key.startsWith('GNU.sparse.') &&
  !key.startsWith('LIBARCHIVE.xattr.') &&
  (plainRecords[key]?.test(value) ?? true)

const goesUp = (name: string): boolean => name.split('/').includes('..')

/** Whether tar2sqfs understands the blocks of header and meta headers as we do, and may have all of it. */
const isForwardable = (header: Header, meta: Meta, entry: EntryHeader): boolean =>
  header.common &&
  /^(x|L|K|LK|KL)?$/.test(meta.kinds) &&
  meta.largest <= largestForwardedMeta &&
  [...meta.pax].every(isPlain) &&
  [...entry.xattrs.keys()].every((attribute) => isStorable(attribute, entry.type)) &&
  !(header.type === '\0' && entry.type === 'directory') &&
  !goesUp(entry.name) &&
  !(entry.type === 'hardlink' && goesUp(entry.link))

const finish = async (source: ByteReader, block: Buffer, header: Header, meta: Meta): Promise<TarEntry> => {
  const entry = describe(header, meta)
  if (entry.type !== 'file') {
    const original = isForwardable(header, meta, entry) ? [...meta.blocks, block] : undefined
    return { header: entry, original, bodySize: 0, sparse: undefined }
  }
  const stored = numberOf(meta.pax, 'size', header.size, Number.MAX_SAFE_INTEGER)
  const start = source.position()
  const readBlock: ReadBlock = () => mustRead(source, blockSize)
  if (header.type === 'S') {
    if (header.format !== 'gnu') throw new TarError('a sparse file is not in the GNU format')
    const sparse = await readOldSparse(block, stored, readBlock)
    return { header: entry, original: undefined, bodySize: stored, sparse }
  }
  const sparse = await readPaxSparse(meta.pax, stored, readBlock)
  if (sparse) {
    const name = meta.pax.get('GNU.sparse.name') || entry.name
    const bodySize = stored - (source.position() - start)
    return { header: { ...entry, name }, original: undefined, bodySize, sparse }
  }
  const original = isForwardable(header, meta, entry) ? [...meta.blocks, block] : undefined
  return { header: entry, original, bodySize: stored, sparse: undefined }
}

const finishNamed: typeof finish = async (source, block, header, meta) => {
  try {
    return await finish(source, block, header, meta)
  } catch (error) {
    throw error instanceof TarError ? new TarError(error.message, nameOf(header, meta), { cause: error }) : error
  }
}

const readEntry = async (source: ByteReader): Promise<TarEntry | undefined> => {
  let meta = noMeta
  for (;;) {
    const block = await readHeaderBlock(source)
    if (!block) return undefined
    const header = parseHeader(block)
    if (!'gxLK'.includes(header.type)) return finishNamed(source, block, header, meta)
    if (header.size < 0 || header.size > largestMeta) throw new TarError('a long name or PAX header is too large')
    const body = await mustRead(source, paddedSize(header.size))
    // Global headers concern tar's own options; containerd ignores them too.
    meta = header.type === 'g' ? noMeta : withMeta(meta, header.type, header.size, [block, body])
  }
}

/**
 * The entries of a tar archive in order: ustar, PAX, GNU (long names, base-256
 * numbers, sparse files), star and the old format, read as Go's archive/tar
 * reads them, since that is what container engines unpack with. The caller may
 * read an entry's body from `source` before it asks for the next one.
 *
 * @throws TarError, TruncatedError
 */
export async function* readTar(source: ByteReader): AsyncGenerator<TarEntry, void, void> {
  for (;;) {
    const entry = await readEntry(source)
    if (!entry) return
    const end = source.position() + paddedSize(entry.bodySize)
    yield entry
    await source.skip(end - source.position())
  }
}
