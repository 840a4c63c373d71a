import { execFile } from 'node:child_process'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import * as z from 'zod'
import { archive, entry, file, hardLink, headerBlock, longName, symlink } from '../testing/archive.ts'
import { createByteReader, TruncatedError } from './bytes.ts'
import { encodeEntry } from './encode.ts'
import type { EntryHeader } from './entry.ts'
import { TarError } from './header.ts'
import { readTar } from './reader.ts'
import type { SparseMap } from './sparse.ts'

const run = promisify(execFile)

interface Read {
  header: EntryHeader
  body: string
  isForwarded: boolean
  sparse: SparseMap | undefined
}

async function* inChunks(bytes: Buffer, sizes: readonly number[]): AsyncGenerator<Buffer, void, void> {
  let at = 0
  for (let turn = 0; at < bytes.length; turn++) {
    const size = sizes[turn % sizes.length] ?? bytes.length
    yield bytes.subarray(at, at + size)
    at += size
  }
}

const readAll = async (bytes: Buffer, sizes: readonly number[] = [bytes.length || 1]): Promise<Read[]> => {
  const source = createByteReader(inChunks(bytes, sizes))
  const found: Read[] = []
  for await (const { header, original, bodySize, sparse } of readTar(source)) {
    const pieces: Buffer[] = []
    for await (const piece of source.pieces(bodySize)) pieces.push(piece)
    found.push({ header, body: Buffer.concat(pieces).toString('latin1'), isForwarded: original !== undefined, sparse })
  }
  return found
}

const readOne = async (...parts: Buffer[]): Promise<Read> => {
  const [one] = await readAll(archive(...parts))
  if (!one) throw new Error('the archive is empty')
  return one
}

let dir: string
beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), 'lamina-tar-'))
  const tree = `
    mkdir -p tree/sub && cd tree
    echo hello > file; chmod 4750 file; chown 70000:3000000 file; touch -d 2001-02-03T04:05:06.75Z file
    ln file link; ln -s file soft; ln -s "$(printf 's%.0s' $(seq 150))" far
    mknod char c 4 64; mknod disk b 8 70000; mkfifo pipe
    echo l > sub/"$(printf 'n%.0s' $(seq 120))"; echo b > "$(printf 'b\\351')"
    touch -d 1960-01-01T00:00:00Z ancient`
  await run('sh', ['-ec', tree], { cwd: dir })
  const holes =
    'truncate -s 40M holes; for i in $(seq 0 30); do echo $i | dd of=holes bs=1 seek=$((i*1300000)) conv=notrunc; done; truncate -s 3M void'
  await run('sh', ['-ec', holes], { cwd: dir })
})
afterAll(() => rm(dir, { recursive: true }))

/** As Python's tarfile reads it, a reader that is not ours. */
const pythonListing = async (tar: string): Promise<object[]> => {
  const script = `
import json, sys, tarfile
kinds = {b'0': 'file', b'\\0': 'file', b'5': 'directory', b'2': 'symlink', b'1': 'hardlink', b'3': 'character', b'4': 'block', b'6': 'fifo'}
with tarfile.open(sys.argv[1], encoding='latin1') as archive:
    print(json.dumps([{'name': m.name, 'type': kinds[m.type], 'link': m.linkname, 'mode': m.mode, 'uid': m.uid, 'gid': m.gid,
        'mtime': int(m.mtime // 1), 'device': [m.devmajor, m.devminor] if m.isdev() and not m.isfifo() else [0, 0], 'size': m.size if m.isreg() else 0} for m in archive]))`
  const { stdout } = await run('python3', ['-c', script, tar])
  return z.array(z.object({}).loose()).parse(JSON.parse(stdout))
}

describe('an archive made by GNU tar', () => {
  test.each(['gnu', 'oldgnu', 'posix'])('in format %s reads as Python reads it', async (format) => {
    const tar = join(dir, `${format}.tar`)
    await run('tar', [`--format=${format}`, '--sort=name', '-cf', tar, 'tree'], { cwd: dir })
    const ours = await readAll(await readFile(tar))
    expect(
      ours.map(({ header: { name, type, link, mode, uid, gid, mtime, major, minor }, body }) => ({
        ...{ name: name.replace(/\/$/, ''), type, link, mode, uid, gid, mtime },
        ...{ device: [major, minor], size: body.length },
      })),
    ).toEqual(await pythonListing(tar))
    expect(ours.every(({ isForwarded }) => isForwarded)).toBe(true)
  })

  test.each([
    ['gnu', '0.0'],
    ['oldgnu', '0.0'],
    ['posix', '0.0'],
    ['posix', '0.1'],
    ['posix', '1.0'],
  ])('with sparse files, in format %s %s, has their extents and sizes', async (format, version) => {
    const tar = join(dir, `sparse-${format}-${version}.tar`)
    const options = ['--sparse', `--format=${format}`, `--sparse-version=${version}`]
    await run('tar', [...options, '-cf', tar, 'holes', 'void'], { cwd: dir })
    const [holes, hollow] = await readAll(await readFile(tar))
    expect(holes?.header.name).toBe('holes')
    expect(holes?.sparse?.size).toBe(40 * 2 ** 20)
    const whole = Buffer.alloc(40 * 2 ** 20)
    let at = 0
    for (const { offset, length } of holes?.sparse?.extents ?? []) {
      whole.write(holes?.body.slice(at, at + length) ?? '', offset, 'latin1')
      at += length
    }
    expect(at).toBe(holes?.body.length)
    expect(whole.equals(await readFile(join(dir, 'holes')))).toBe(true)
    expect(hollow).toMatchObject({ body: '', sparse: { size: 3 * 2 ** 20 } })
  })
})

test('how the bytes are cut into chunks makes no difference', async () => {
  const bytes = archive(
    longName('L', `long/${'x'.repeat(200)}`),
    file('f', 'body'.repeat(300)),
    file('g', '', { pax: { path: 'renamed', 'SCHILY.xattr.user.a': '\0\xff' } }),
    hardLink('h', 'renamed'),
  )
  const whole = await readAll(bytes)
  expect(whole).toHaveLength(3)
  await fc.assert(
    fc.asyncProperty(fc.array(fc.integer({ min: 1, max: 1500 }), { minLength: 1, maxLength: 5 }), async (sizes) => {
      expect(await readAll(bytes, sizes)).toEqual(whole)
    }),
    { numRuns: 40 },
  )
})

describe("of an entry's several names and numbers, that counts which counts for container engines", () => {
  test('GNU names before PAX records, PAX records before the header', async () => {
    const { header } = await readOne(
      longName('L', 'by-gnu'),
      file('by-header', '', { uid: 1, pax: { path: 'by-pax', uid: '2', gid: '' }, gid: 3 }),
    )
    expect(header).toMatchObject({ name: 'by-gnu', uid: 2, gid: 3 })
  })

  test('the prefix of ustar, star and of Go before 1.8', async () => {
    expect((await readOne(file('n', '', { prefix: 'p/q' }))).header.name).toBe('p/q/n')
    expect((await readOne(file('n', '', { format: 'star', prefix: 'p' }))).header.name).toBe('p/n')
    expect((await readOne(file('n', '', { format: 'gnu', prefix: 'a/prefix' }))).header.name).toBe('a/prefix/n')
    expect((await readOne(file('n', '', { format: 'v7', prefix: 'p' }))).header.name).toBe('n')
  })

  test('seconds without their fraction, however near to the next', async () => {
    const { header } = await readOne(file('n', '', { pax: { mtime: '1700000000.999999999' } }))
    expect(header.mtime).toBe(1_700_000_000)
  })

  test('base-256 where octal digits do not do, also below zero', async () => {
    const { header } = await readOne(file('n', '', { format: 'gnu', uid: 4_294_967_294, gid: 2_097_152, mtime: -1 }))
    expect(header).toMatchObject({ uid: 4_294_967_294, gid: 2_097_152, mtime: -1 })
  })

  test('a size in a PAX record', async () => {
    const { body } = await readOne(file('n', 'seven b', { size: 0, pax: { size: '7' } }))
    expect(body).toBe('seven b')
  })

  test('an old directory by its slash', async () => {
    expect((await readOne(entry({ name: 'd/', type: '\0', format: 'v7' }))).header.type).toBe('directory')
    expect((await readOne(file('f/', 'x'))).header.type).toBe('file')
  })

  test('links have no body, whatever their size says', async () => {
    const bytes = archive(headerBlock({ name: 'l', type: '1', link: 't', size: 1000 }), file('next'))
    expect((await readAll(bytes)).map(({ header }) => header.name)).toEqual(['l', 'next'])
  })

  test('a checksum of signed bytes', async () => {
    expect((await readOne(file('\xe9', 'x', { signedChecksum: true }))).header.name).toBe('\xe9')
  })
})

describe('blocks that tar2sqfs would understand otherwise are not passed on as they are', () => {
  const acl = { 'SCHILY.xattr.system.posix_acl_access': 'x' }
  test.each<[string, Buffer[]]>([
    ['both a GNU name and a PAX header', [longName('L', 'a'), file('b', '', { pax: { uid: '1' } })]],
    ['the old format', [file('a', '', { format: 'v7' })]],
    ['star', [file('a', '', { format: 'star' })]],
    ['an empty record', [file('a', '', { pax: { uid: '' } })]],
    ['attributes of the host', [file('a', '', { pax: { 'SCHILY.xattr.trusted.overlay.opaque': 'y' } })]],
    ["libarchive's own attributes", [file('a', '', { pax: { 'LIBARCHIVE.xattr.user.a': 'YQ' } })]],
    ['access control lists', [file('a', '', { pax: acl })]],
    ['attributes of a user on a link', [symlink('a', 'b', { pax: { 'SCHILY.xattr.user.a': 'x' } })]],
    ['a name that goes up', [file('a/../b')]],
    ['a link that goes up', [hardLink('a', '../b')]],
    ['a signed checksum', [file('\xe9', '', { signedChecksum: true })]],
  ])('%s', async (_, parts) => {
    expect((await readOne(...parts)).isForwarded).toBe(false)
  })

  test.each<[string, Buffer[]]>([
    ['a PAX header with attributes', [file('a', 'b', { pax: { 'SCHILY.xattr.security.capability': '\x01\0\xff' } })]],
    ['GNU names', [longName('K', 'long'), longName('L', 'n'), symlink('a', 'b', { format: 'gnu' })]],
    ['a symbolic link that goes up', [symlink('a', '../b')]],
  ])('but %s are', async (_, parts) => {
    expect((await readOne(...parts)).isForwarded).toBe(true)
  })
})

describe('what an entry is encoded as', () => {
  const names = fc
    .uint8Array({ min: 1, minLength: 1, maxLength: 300 })
    .map((array) => Buffer.from(array).toString('latin1'))
  const values = fc.uint8Array({ maxLength: 200 }).map((array) => Buffer.from(array).toString('latin1'))
  const headers = fc.record({
    type: fc.constantFrom('file' as const, 'directory' as const),
    name: names,
    link: fc.constant(''),
    mode: fc.integer({ min: 0, max: 0o7777 }),
    uid: fc.integer({ min: 0, max: 2 ** 32 - 2 }),
    gid: fc.integer({ min: 0, max: 2 ** 32 - 2 }),
    mtime: fc.integer({ min: 0, max: 2 ** 32 - 1 }),
    major: fc.constant(0),
    minor: fc.constant(0),
    xattrs: fc
      .array(fc.tuple(fc.stringMatching(/^[a-z.]{1,20}$/), values), { maxLength: 3 })
      .map((pairs) => new Map(pairs.map(([name, value]) => [`user.${name}`, value]))),
  })

  test('reads as the entry again', async () => {
    await fc.assert(
      fc.asyncProperty(headers, async (header) => {
        expect((await readOne(encodeEntry(header))).header).toEqual(header)
      }),
    )
  })

  test('keeps a sparse map', async () => {
    const header = {
      type: 'file' as const,
      name: 's',
      link: '',
      mode: 0,
      uid: 0,
      gid: 0,
      mtime: 0,
      major: 0,
      minor: 0,
      xattrs: new Map(),
    }
    const sparse = {
      size: 2 ** 40,
      extents: Array.from({ length: 300 }, (_, index) => ({ offset: index * 2 ** 31, length: 1 })),
    }
    const { sparse: read, body } = await readOne(encodeEntry(header, { bodySize: 300, sparse }), Buffer.alloc(512, 'x'))
    expect(read).toEqual(sparse)
    expect(body).toBe('x'.repeat(300))
  })
})

describe('an archive is refused', () => {
  const damaged = file('victim', 'x', { patch: [{ at: 108, bytes: 'nonsense' }] })
  test.each<[string, Buffer, RegExp]>([
    ['with a wrong checksum', archive(file('a').fill('z', 0, 1)), /checksum/],
    ['that is none', Buffer.alloc(2048, 'text'), /number in the header|checksum/],
    ['with a number that is none', archive(damaged), /not one/],
    ['with more after an empty block', Buffer.concat([Buffer.alloc(512), file('a')]), /empty block/],
    ['with a type that no engine unpacks', archive(entry({ name: 'a', type: '7' })), /type "7"/],
    ['with an owner that Linux has no number for', archive(file('a', '', { pax: { uid: '4294967295' } })), /uid/],
    ['with a device that Linux has no number for', archive(entry({ name: 'a', type: '3', major: 4096 })), /device/],
    ['with a size below nothing', archive(file('a', '', { pax: { size: '-1' } })), /size/],
    ['with a name of more than a megabyte', archive(headerBlock({ name: 'l', type: 'L', size: 2 ** 21 })), /too large/],
    [
      'with extents that overlap',
      archive(file('a', '12', { pax: { 'GNU.sparse.map': '0,1,0,1', 'GNU.sparse.size': '9' } })),
      /overlap/,
    ],
    [
      'with extents that do not add up',
      archive(file('a', '12', { pax: { 'GNU.sparse.map': '0,1', 'GNU.sparse.size': '9' } })),
      /add up/,
    ],
    [
      'with a sparse file larger than any',
      archive(file('a', '', { pax: { 'GNU.sparse.map': '5,0', 'GNU.sparse.size': '9000000000000' } })),
      /4 TiB/,
    ],
    [
      'with a sparse map without end',
      archive(file('a', '9'.repeat(600), { pax: { 'GNU.sparse.major': '1', 'GNU.sparse.minor': '0' } })),
      /early|number/,
    ],
  ])('%s', async (_, bytes, message) => {
    const attempt = readAll(bytes)
    await expect(attempt).rejects.toThrow(message)
  })

  test('when it ends too early, in a header or in a body', async () => {
    const bytes = file('a', 'x'.repeat(2000))
    await expect(readAll(bytes.subarray(0, 300))).rejects.toThrow(TruncatedError)
    await expect(readAll(bytes.subarray(0, 1300))).rejects.toThrow(TruncatedError)
  })

  test('by a message that can name the entry', async () => {
    const attempt = readAll(archive(file('fine'), file('odd', '', { pax: { uid: 'x' } })))
    await expect(attempt).rejects.toThrow(expect.objectContaining({ name: 'TarError', entry: 'odd' }))
    await expect(attempt).rejects.toThrow(TarError)
  })

  test('but not for want of the two empty blocks at its end', async () => {
    expect(await readAll(file('a'))).toHaveLength(1)
    expect(await readAll(Buffer.concat([file('a'), Buffer.alloc(512)]))).toHaveLength(1)
    expect(await readAll(Buffer.alloc(0))).toEqual([])
  })
})
