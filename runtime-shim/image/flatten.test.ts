import { execFile } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { access, mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { gzipSync, zstdCompressSync } from 'node:zlib'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { ConversionError, NoSpaceError } from './errors.ts'
import { flattenDirectory } from './flatten.ts'
import { createByteReader } from './tar/bytes.ts'
import { encodeEntry } from './tar/encode.ts'
import { paddedSize } from './tar/header.ts'
import { readTar } from './tar/reader.ts'
import { archive, directory, file, hardLink, symlink, whiteout } from './testing/archive.ts'
import { type TestLayer, writeImageDirectory } from './testing/image.ts'
import { type Listed, list, withMounted } from './testing/mounted.ts'
import { nastyLayers } from './testing/nasty.ts'
import { withSmallDisk } from './testing/small-disk.ts'

const run = promisify(execFile)

let dir: string
let image: string
let target: string
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'lamina-flatten-'))
  image = join(dir, 'image')
  target = join(dir, 'root.squashfs')
})
afterEach(() => rm(dir, { recursive: true }))

const flatten = async (layers: readonly TestLayer[], signal = new AbortController().signal): Promise<string[]> => {
  await rm(image, { recursive: true, force: true })
  await rm(target, { force: true })
  await writeImageDirectory(image, layers)
  const lines: string[] = []
  await flattenDirectory(image, target, { signal, onProgress: (line) => lines.push(line) })
  return lines
}

const listed = async (layers: readonly TestLayer[]): Promise<Record<string, Listed>> => {
  await flatten(layers)
  return withMounted(target, list)
}

/** In another way than the code under test would write it. */
const gnuTar = async (script: string, ...options: string[]): Promise<Buffer> => {
  const tree = join(dir, 'tree')
  await rm(tree, { recursive: true, force: true })
  await run('sh', ['-ec', `mkdir "$1"; cd "$1"; ${script}`, 'sh', tree])
  await run('tar', ['-C', tree, '--sort=name', '--mtime=@1000000000', ...options, '-cf', join(dir, 'layer.tar'), '.'])
  return readFile(join(dir, 'layer.tar'))
}

const someTree = `
  mkdir -p usr/bin etc; head -c 300000 /dev/urandom > usr/bin/large; echo small > etc/small; ln usr/bin/large etc/link
  ln -s ../usr/bin/large etc/soft; mknod etc/null c 1 3; mkfifo etc/pipe; chown 70000:3000000 etc/small; chmod 4711 etc/small
  touch "$(printf '%0120d' 0)" "$(printf 'b\\351')"`

describe('a layer', () => {
  const one = archive(directory('d'), file('d/f', 'content'.repeat(1000)))

  test('may be compressed with gzip, with zstd or not at all', async () => {
    await flatten([{ archive: one, compression: 'none' }])
    const plain = await readFile(target)
    for (const compression of ['gzip', 'zstd'] as const) {
      await flatten([{ archive: one, compression }])
      expect((await readFile(target)).equals(plain)).toBe(true)
    }
  })

  test('may consist of several gzip members, as estargz has them', async () => {
    const parts = Array.from({ length: 20 }, (_, index) => one.subarray(index * 500, (index + 1) * 500))
    const rest = one.subarray(10_000)
    const blob = Buffer.concat([...parts, rest].map((part) => gzipSync(part)))
    expect(Object.keys(await listed([{ archive: one, blob }]))).toEqual(['d', 'd/f'])
  })

  test('may consist of several zstd frames with others to be skipped, as zstd:chunked has them', async () => {
    const skippable = Buffer.concat([Buffer.from('502a4d1804000000', 'hex'), Buffer.from('skip')])
    const frames = [one.subarray(0, 3000), one.subarray(3000)].map((part) => zstdCompressSync(part))
    const blob = Buffer.concat([skippable, ...frames.flatMap((frame) => [frame, skippable])])
    expect(Object.keys(await listed([{ archive: one, blob }]))).toEqual(['d', 'd/f'])
  })

  test('may be empty, and there may be none', async () => {
    expect(await listed([{ archive: archive() }])).toEqual({})
    expect(await listed([])).toEqual({})
  })
})

describe('the squashfs', () => {
  test('is the same to the byte, whichever dialect the archive is in, and every time', async () => {
    const images: Buffer[] = []
    for (const format of ['gnu', 'posix', 'posix', 'oldgnu']) {
      const layer = images.length === 0 ? await gnuTar(someTree, `--format=${format}`) : await retar(format)
      await flatten([{ archive: layer }])
      images.push(await readFile(target))
    }
    expect(images.every((bytes) => bytes.equals(images[0] ?? Buffer.alloc(0)))).toBe(true)
  })

  const retar = async (format: string): Promise<Buffer> => {
    const options = ['--sort=name', '--mtime=@1000000000', `--format=${format}`]
    await run('tar', ['-C', join(dir, 'tree'), ...options, '-cf', join(dir, 'again.tar'), '.'])
    return readFile(join(dir, 'again.tar'))
  }

  test('is the same when every entry is encoded anew', async () => {
    const layer = await gnuTar(someTree, '--format=posix')
    await flatten([{ archive: layer }])
    const forwarded = await readFile(target)
    await flatten([{ archive: await encodedAnew(layer) }])
    expect((await readFile(target)).equals(forwarded)).toBe(true)
  })

  const encodedAnew = async (bytes: Buffer): Promise<Buffer> => {
    const source = createByteReader(
      (async function* () {
        yield bytes
      })(),
    )
    const parts: Buffer[] = []
    for await (const { header, bodySize, sparse } of readTar(source)) {
      parts.push(encodeEntry(header, { bodySize, sparse }))
      for await (const piece of source.pieces(paddedSize(bodySize))) parts.push(piece)
    }
    return archive(...parts)
  }

  test('cannot keep access control lists, and the loss is told', async () => {
    const pax = { 'SCHILY.xattr.system.posix_acl_access': '\x02\0\0\0' }
    expect(await flatten([{ archive: archive(file('a', '', { pax })) }])).toContain(
      '1 entries have access control lists, which squashfs cannot keep: their mode counts',
    )
  })

  test('is made in one pass of an ordinary image', async () => {
    const lines = await flatten([
      { archive: archive(directory('d'), file('d/a'), file('gone'), hardLink('d/b', 'd/a'), symlink('s', 'd')) },
      { archive: archive(directory('d'), file('d/c'), whiteout('gone')) },
    ])
    expect(lines).toEqual(['flattening layer 1 of 2', 'flattening layer 2 of 2'])
  })

  test('belongs to root and cannot be written', async () => {
    await flatten([{ archive: archive(file('a')) }])
    const { uid, gid, mode, size } = await stat(target)
    expect([uid, gid, mode & 0o777]).toEqual([0, 0, 0o400])
    expect(size).toBeGreaterThan(0)
  })

  test("has a root that is the engine's, not the image's", async () => {
    await flatten([{ archive: archive(directory('./', { mode: 0o700, uid: 5, mtime: 5 }), file('a')) }])
    await withMounted(target, async (root) => {
      const { mode, uid } = await stat(root)
      expect([mode & 0o777, uid]).toEqual([0o755, 0])
    })
  })
})

describe('an image with every oddity', () => {
  let found: Record<string, Listed>
  let allocated: number
  beforeEach(async () => {
    await flatten(await nastyLayers())
    found = await withMounted(target, async (root) => {
      allocated = (await stat(join(root, 'sparse'))).blocks * 512
      return list(root)
    })
  })

  // The whole of it is held against containerd's own unpacking in test/e2e/flatten.e2e.ts.
  test('is unpacked as its layers mean it', () => {
    const names = Object.keys(found)
    expect(names.filter((name) => name.includes('.wh.'))).toEqual([])
    for (const gone of ['wh/file', 'wh/dir/file', 'opq/file', 'swap/old', 'keep/file', 'shape/gone']) {
      expect(names).not.toContain(gone)
    }
    expect(found).toMatchObject({
      'usr/bin/ping': { xattrs: { 'security.capability': '0100000200200000000000000000000000000000' } },
      'etc/owned': {
        uid: 70_000,
        gid: 3_000_000,
        xattrs: { 'user.binary': Buffer.from([...Array(256).keys()]).toString('hex') },
      },
      'etc/disk': { type: 'b', device: '259:1048575' },
      'etc/pipe': { type: 'p' },
      'etc/dangling-too': { type: 'l', links: 2, target: '/no/where' },
      'etc/old': { mtime: 0 },
      'etc/fraction': { mtime: 981_173_106 },
      'latin-\xe9': { type: '-' },
      sparse: { size: 20 * 2 ** 20 },
      swap: { type: 'd', mode: 0o751 },
      'swap/new': { type: '-' },
      second: { links: 2 },
      first: { links: 1 },
      'implied/inner': { mode: 0o700, uid: 5, gid: 6 },
      relabelled: { mode: 0o4711, uid: 4, gid: 5, mtime: 99, links: 2 },
      base256: { uid: 2_097_152, gid: 4_000_000_000 },
      attributes: { xattrs: { 'user.kept': 'ff00fe' } },
      'attributes-dir': { xattrs: {} },
      escape: { type: '-' },
      'real/through': { type: '-' },
    })
    expect(allocated).toBeLessThan(2 ** 18)
  })
})

describe('what cannot be flattened says why, and leaves no file', () => {
  const good: TestLayer = { archive: archive(file('a', 'x'.repeat(100_000))) }

  const failure = async (layers: readonly TestLayer[], configuration = {}): Promise<unknown> => {
    await writeImageDirectory(image, layers, configuration)
    const options = { signal: new AbortController().signal, onProgress: () => {} }
    const error: unknown = await flattenDirectory(image, target, options).then(
      () => undefined,
      (reason: unknown) => reason,
    )
    await expect(access(target)).rejects.toThrow(/ENOENT/)
    expect(error).toBeInstanceOf(ConversionError)
    return error
  }
  const random = archive(file('a', randomBytes(100_000)))

  test.each<[string, TestLayer[], object, RegExp]>([
    [
      'a layer that is another one than the configuration says',
      [good, { ...good, blob: gzipSync(archive(file('b'))) }],
      {},
      /^layer 2: its content is sha256:.* where the image's configuration says sha256:/,
    ],
    [
      'a gzip stream that ends early',
      [{ archive: random, blob: gzipSync(random).subarray(0, 50_000) }],
      {},
      /^layer 1: its compressed data is damaged/,
    ],
    [
      'a damaged zstd stream',
      [{ archive: random, blob: zstdCompressSync(random).subarray(0, 50_000) }],
      {},
      /^layer 1: its compressed data is damaged/,
    ],
    [
      'another compression',
      [{ ...good, blob: Buffer.from('fd377a585a000004', 'hex') }],
      {},
      /^layer 1: it is compressed with xz; images may use gzip or zstd/,
    ],
    [
      'an archive that ends early',
      [{ archive: good.archive.subarray(0, 1000) }],
      {},
      /^layer 1: "a": the archive ends \d+ bytes early/,
    ],
    [
      'an entry of unknown type',
      [good, { archive: archive(file('odd', '', { type: 'V' })) }],
      {},
      /^layer 2: "odd": entries of type "V" are not supported/,
    ],
    [
      'an entry that no engine takes',
      [{ archive: archive(file('f'), file('f/x')) }],
      {},
      /^layer 1: "f\/x": it lies below "f"/,
    ],
    [
      'a list of layers that does not fit',
      [good],
      { rootfs: { diff_ids: [] } },
      /its manifest lists 1 layers, its configuration 0/,
    ],
    ['something else than an image', [good], { rootfs: undefined }, /no container image/],
  ])('%s', async (_, layers, configuration, message) => {
    expect(await failure(layers, configuration)).toMatchObject({ message: expect.stringMatching(message) })
  })

  test('a full disk, by how much it takes and how much there is', async () => {
    await writeImageDirectory(image, [{ archive: archive(file('large', randomBytes(12 * 2 ** 20))) }])
    await withSmallDisk({ mebibytes: 8 }, async (disk) => {
      const attempt = flattenDirectory(image, join(disk, 'root.squashfs'), {
        signal: new AbortController().signal,
        onProgress: () => {},
      })
      await expect(attempt).rejects.toThrow(NoSpaceError)
      await expect(attempt).rejects.toThrow(
        /^no space left on .*disk: the image takes about 13 MiB there, and \d+ MiB are free/,
      )
      await expect(attempt).rejects.toThrow(expect.objectContaining({ kind: 'NoSpace', lacking: expect.any(Number) }))
      expect(await readdir(disk)).toEqual(['lost+found'])
    })
  })

  test('a stop on the way', async () => {
    const controller = new AbortController()
    const large = { archive: archive(file('large', randomBytes(2 ** 25))), compression: 'none' as const }
    await writeImageDirectory(image, [large])
    const attempt = flattenDirectory(image, target, {
      signal: controller.signal,
      onProgress: () => setTimeout(() => controller.abort(new Error('stopped')), 20),
    })
    await expect(attempt).rejects.toThrow('stopped')
    expect(await readdir(dir)).toEqual(['image'])
  })

  test('a target that is there already, which is left as it is', async () => {
    await writeImageDirectory(image, [good])
    await writeFile(target, 'mine')
    const options = { signal: new AbortController().signal, onProgress: () => {} }
    await expect(flattenDirectory(image, target, options)).rejects.toThrow(/EEXIST/)
    expect(await readFile(target, 'utf8')).toBe('mine')
  })
})
