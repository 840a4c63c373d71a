import { execFileSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { copyFileSync, mkdirSync, readFileSync, symlinkSync, truncateSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import { editExt3, makeExt3, makeSif, makeSquashfs, makeVolume, smallBase } from '../../test/node/images.ts'
import { createRootBench, type RootBench } from '../../test/node/roots.ts'
import { attachedFiles } from './loop.ts'

const fixtures = join(import.meta.dirname, '../../test/fixtures')

// Each root is a process of its own, and the machine may be busy.
vi.setConfig({ testTimeout: 60_000 })

let bench: RootBench
beforeEach(() => {
  bench = createRootBench()
})
afterEach(() => bench.close())

const path = (name: string): string => join(bench.dir, name)
const squashfs = (compressor?: string): Buffer =>
  readFileSync(makeSquashfs(path('content.squashfs'), smallBase, compressor))
const written = (name: string, ...content: Buffer[]): string => {
  writeFileSync(path(name), Buffer.concat(content))
  return path(name)
}
const launchLine = Buffer.from('#!/usr/bin/env run-singularity\n')
const rootOf = async (base: string, allowExt3 = false): Promise<string> => {
  const { error, output } = await bench.run({ base, allowExt3, script: 'ls; cat etc/group' })
  return error ?? output
}
const smallRoot = `dev\netc\nopt\nproc\nsys\n${readFileSync('/etc/group', 'utf8')}`

describe('a squashfs', () => {
  test.each(['gzip', 'xz', 'zstd', 'lz4', 'lzo'])('compressed with %s is mounted', async (compressor) => {
    expect(await rootOf(written('image', squashfs(compressor)))).toBe(smallRoot)
  })

  test('with a compressor that the kernel lacks is refused with its name', async () => {
    expect(await rootOf(written('image', squashfs('lzma')))).toBe(
      `OverlayError: ${path('image')}: its squashfs is compressed with lzma, which this node's kernel cannot read: build it with zstd or gzip`,
    )
  })

  test('behind the launch line of Singularity 2.x is mounted at its offset', async () => {
    expect(await rootOf(written('image.simg', launchLine, squashfs()))).toBe(smallRoot)
  })

  test('behind another launch line too', async () => {
    expect(await rootOf(written('image.simg', Buffer.from('#!/bin/run\n'), squashfs()))).toBe(smallRoot)
  })

  /** Without padding, and with its last byte in the first or the second half of a block of 1024 bytes. */
  const unpadded = (half: 0 | 1): Buffer => {
    for (let size = 100; ; size += 137) {
      writeFileSync(path('filler'), createHash('shake256', { outputLength: size }).digest())
      const image = readFileSync(makeSquashfs(path('odd'), [...smallBase, `file /filler 0644 0 0 ${path('filler')}`]))
      const used = Number(image.readBigUInt64LE(40))
      if (used % 512 !== 0 && Math.floor((used % 1024) / 512) === half) return image.subarray(0, used)
    }
  }

  test.each([0, 1] as const)(
    'that ends in half %i of a block is refused with what to do, and then mounted',
    async (half) => {
      const image = written('image', unpadded(half))
      expect(await rootOf(image)).toMatch(/image: its squashfs ends within a block, .* \(truncate --size=%4096\)/)
      execFileSync('truncate', ['--size=%4096', image])
      expect(await rootOf(image)).toMatch(/^dev\netc\nfiller\n/)
    },
  )

  test('padded to a sector alone is refused before the kernel fails to read it', async () => {
    const image = written('image', unpadded(0))
    execFileSync('truncate', ['--size=%512', image])
    expect(await rootOf(image)).toMatch(/ends within a block/)
  })

  test('that is cut off is refused with how much is missing', async () => {
    const image = written('image', squashfs())
    truncateSync(image, 512)
    expect(await rootOf(image)).toMatch(/image: it is cut off: its squashfs has \d+ bytes, of which 512 are there/)
  })

  test('whose tables are overwritten is refused as damaged', async () => {
    expect(await rootOf(written('image', squashfs().fill(0x41, 96)))).toMatch(
      /image: the kernel finds its squashfs damaged \(.*unable to read id index table\)/,
    )
  })

  test('of version 3 is refused with the version', async () => {
    const old = squashfs()
    old.writeUInt16LE(3, 28)
    expect(await rootOf(written('image', old))).toMatch(/it is squashfs 3\.0/)
  })
})

describe('a SIF', () => {
  const primary = () => ({ content: squashfs(), fileSystem: 1, role: 2 })
  const ext3 = (name: string, ...options: string[]) => makeExt3(path(name), 16, ...options)

  test('is mounted where its partition lies, without a copy', async () => {
    const image = makeSif(path('image.sif'), [primary()])
    const root = await bench.open({ base: image, script: 'ls; cat etc/group' })
    expect(root.output).toBe(smallRoot)
    expect(attachedFiles().map((file) => file.path)).toContain(image)
  })

  test.each([0, 1, 13, 511, 3583])('with its partition %i bytes off every boundary is mounted too', async (gap) => {
    expect(await rootOf(makeSif(path('image.sif'), [{ ...primary(), gap }]))).toBe(smallRoot)
  })

  test('whose squashfs is not padded reads what follows in its place', async () => {
    const padded = squashfs()
    const content = padded.subarray(0, Number(padded.readBigUInt64LE(40)))
    const image = makeSif(path('image.sif'), [
      { content, fileSystem: 1, role: 2 },
      { content: Buffer.alloc(8192, 0xff), fileSystem: 4, role: 3 },
    ])
    expect(await rootOf(image)).toBe(smallRoot)
  })

  test('with an overlay partition shows that above itself', async () => {
    const overlay = ext3('overlay')
    editExt3(overlay, 'mkdir upper', 'write /etc/hostname upper/added')
    const image = makeSif(path('image.sif'), [
      primary(),
      { content: readFileSync(overlay), fileSystem: 2, role: 4, gap: 5 },
    ])
    const { error, output } = await bench.run({ base: image, script: 'ls; cat added' })
    expect(error ?? output).toBe(`added\ndev\netc\nopt\nproc\nsys\n${readFileSync('/etc/hostname', 'utf8')}`)
  })

  test('with an overlay partition that nobody has used shows itself', async () => {
    const overlay = readFileSync(ext3('overlay'))
    expect(await rootOf(makeSif(path('image.sif'), [primary(), { content: overlay, fileSystem: 2, role: 4 }]))).toBe(
      smallRoot,
    )
  })

  test.each<[string, () => Parameters<typeof makeSif>[1], RegExp]>([
    [
      'for another architecture',
      () => [{ ...primary(), architecture: '10' }],
      new RegExp(`image.sif: it is for mips64, and this node is ${process.arch}`),
    ],
    ['that is encrypted', () => [{ ...primary(), fileSystem: 5 }], /of kind "encrypted squashfs", and only/],
    ['without a root', () => [{ ...primary(), role: 3 }], /it has 0 primary system partitions/],
    ['with two roots', () => [primary(), primary()], /it has 2 primary system partitions/],
    [
      'whose partition holds something else',
      () => [{ ...primary(), content: Buffer.alloc(8192, 'x') }],
      /its partition at 4681 holds no squashfs \(bad magic number\)/,
    ],
    [
      'with an ext3 root, which nobody allowed',
      () => [{ ...primary(), content: readFileSync(ext3('root')), fileSystem: 2 }],
      /an administrator must allow/,
    ],
  ])('%s is refused', async (_what, parts, words) => {
    expect(await rootOf(makeSif(path('image.sif'), parts()))).toMatch(words)
  })

  test('that is cut off is refused', async () => {
    const image = makeSif(path('image.sif'), [primary()])
    truncateSync(image, 6000)
    expect(await rootOf(image)).toMatch(/image.sif: its partition lies outside the file: it is cut off or damaged/)
  })
})

describe('an ext3 container image of Singularity 2.x', () => {
  const image = (): string => {
    const file = makeExt3(path('content.ext3'), 16)
    editExt3(file, 'mkdir etc', 'write /etc/group etc/group', 'rmdir lost+found')
    return file
  }

  test('is refused unless it is allowed', async () => {
    expect(await rootOf(image())).toMatch(
      /content.ext3: it is an ext3 container image of Singularity 2.x: an administrator must allow/,
    )
  })

  test('is mounted read-only where it is allowed, and stays as it is', async () => {
    const file = image()
    const before = readFileSync(file)
    const { error, output } = await bench.run({ base: file, allowExt3: true, script: 'ls etc; echo new > etc/group' })
    expect(error ?? output).toBe('group\nhostname\nhosts\nresolv.conf\n')
    expect(readFileSync(file).equals(before)).toBe(true)
  })

  test('is mounted behind a launch line too', async () => {
    expect(await rootOf(written('old.img', launchLine, readFileSync(image())), true)).toMatch(/^dev\netc\nproc\nsys\n/)
  })

  test('is refused when it was not cleanly unmounted: nothing may write it', async () => {
    const file = image()
    editExt3(file, 'feature needs_recovery')
    expect(await rootOf(file, true)).toMatch(/not cleanly unmounted: run e2fsck/)
  })

  test('that is cut off is refused', async () => {
    const file = image()
    truncateSync(file, 8 * 2 ** 20)
    expect(await rootOf(file, true)).toMatch(/it is cut off: its ext3 file system has 16777216 bytes, of which 8388608/)
  })
})

describe('an ext3 overlay, given as a container image', () => {
  const overlay = (...more: string[]): string => {
    const file = makeExt3(path('overlay.ext3'), 16)
    editExt3(file, 'mkdir upper', 'mkdir work', ...more)
    return file
  }
  const words = /overlay.ext3: it is an ext3 overlay, .* and no container: use it as a PersistentOverlay/

  test.each([true, false])(
    'is refused with what to do, whether ext3 images are allowed (%s) or not',
    async (allowed) => {
      expect(await rootOf(overlay(), allowed)).toMatch(words)
    },
  )

  test('is told by its root alone, whatever is in its layer, and behind a launch line', async () => {
    const file = overlay('write /etc/group lamina.json', 'mkdir upper/etc', 'mkdir upper/bin')
    expect(await rootOf(file, true)).toMatch(words)
    expect(await rootOf(written('overlay.ext3', launchLine, readFileSync(file)), true)).toMatch(words)
  })

  test('is a container when its root has more', async () => {
    expect(await rootOf(overlay('mkdir etc', 'rmdir lost+found'), true)).toMatch(/^dev\netc\nproc\nsys\nupper\nwork\n/)
  })
})

describe('on a volume', () => {
  const volume = (): string => bench.folder('volume')
  const below = (relative: string) => ({ kind: 'below', directory: volume(), path: relative }) as const

  test('a file is mounted from a path in it', async () => {
    mkdirSync(join(volume(), 'images'))
    copyFileSync(bench.base, join(volume(), 'images/base.sqfs'))
    const { error, output } = await bench.run({ base: below('images/base.sqfs'), script: 'ls' })
    expect(error ?? output).toBe('dev\netc\nopt\nproc\nsys\n')
  })

  test('a directory is a sandbox container, and stays as it is', async () => {
    const sandbox = join(volume(), 'sandbox')
    mkdirSync(join(sandbox, 'etc'), { recursive: true })
    writeFileSync(join(sandbox, 'etc/motd'), 'hello\n')
    const work = makeVolume(path('work'))
    const script = 'cat etc/motd; echo changed > etc/motd; stat -c %a .'
    execFileSync('chmod', ['0711', sandbox])
    const { error, output } = await bench.run({ base: below('sandbox'), readWrite: work, script })
    expect(error ?? output).toBe('hello\n711\n')
    expect(readFileSync(join(sandbox, 'etc/motd'), 'utf8')).toBe('hello\n')
    expect((await bench.run({ base: below('sandbox'), readWrite: work, script: 'cat etc/motd' })).output).toBe(
      'changed\n',
    )
  })

  test('the volume itself can be the sandbox', async () => {
    mkdirSync(join(volume(), 'bin'))
    expect((await bench.run({ base: below('.'), script: 'ls' })).output).toBe('bin\ndev\netc\nproc\nsys\n')
  })

  test.each<[string, string, RegExp]>([
    ['a link to the host', 'link', /is or leads through a symbolic link/],
    ['a path through a link', 'link/passwd', /is or leads through a symbolic link/],
    ['a path out of the volume', '../outside', /leads out of its file system/],
    ['an absolute path', '/etc', /leads out of its file system/],
    ['a FIFO', 'fifo', /is a FIFO, a socket or a device: put an image or a directory in its place/],
    ['nothing', 'nothing', /ENOENT/],
    ['a path below a file', 'file/image.sif', /is not a directory, or lies below what is none: correct the path/],
    ['a name that no file has', 'ü'.repeat(200), /has a name of more than 255 bytes/],
  ])('%s is refused', async (_what, relative, words) => {
    symlinkSync('/etc', join(volume(), 'link'))
    execFileSync('mkfifo', [join(volume(), 'fifo')])
    writeFileSync(join(volume(), 'file'), '')
    bench.folder('outside')
    expect((await bench.run({ base: below(relative) })).error).toMatch(words)
  })
})

test('a volume of files alone, whose path was forgotten, is no sandbox', async () => {
  const directory = bench.folder('volume')
  mkdirSync(join(directory, 'lost+found'))
  writeFileSync(join(directory, 'tools.sif'), '')
  const { error } = await bench.run({ base: { kind: 'below', directory, path: '.' } })
  expect(error).toMatch(/volume: it is a directory without directories, and no root of a container/)
})

describe('what lies on a volume is called in messages what its owner knows it by', () => {
  const below = (relative: string) =>
    ({
      kind: 'below',
      directory: bench.folder('volume'),
      path: relative,
      shown: '"x" on PersistentVolumeClaim c',
    }) as const

  test.each([
    ['link', '"x" on PersistentVolumeClaim c is or leads through a symbolic link'],
    ['empty', '"x" on PersistentVolumeClaim c: it is empty'],
    ['torn', '"x" on PersistentVolumeClaim c: the kernel finds its squashfs damaged'],
  ])('%s', async (name, words) => {
    const directory = bench.folder('volume')
    symlinkSync('/etc', join(directory, 'link'))
    writeFileSync(join(directory, 'empty'), '')
    writeFileSync(join(directory, 'torn'), squashfs().fill(0x41, 96))
    const { error } = await bench.run({ base: below(name) })
    expect(error).toContain(words)
    expect(error).not.toContain(directory)
  })
})

describe('what is no image is refused with its name', () => {
  test.each([
    ['an empty file', Buffer.alloc(0), /image: it is empty/],
    ['text', Buffer.from('hello'), /image: it is neither squashfs nor SIF nor ext3 \(bad magic number\)/],
    ['a script', Buffer.from('#!/bin/sh\necho hello\n'), /image: it is neither/],
    ['a launch line alone', launchLine, /image: it is neither/],
    ['a squashfs of four bytes', Buffer.from('hsqs'), /image: its squashfs superblock is cut off/],
  ])('%s', async (_what, content, words) => {
    expect(await rootOf(written('image', content))).toMatch(words)
  })

  test('a directory in the place of a file', async () => {
    expect(await rootOf(bench.folder('image'))).toMatch(/image: it is a directory/)
  })
})

test("fixtures: Apptainer's own files are mounted as they are", async () => {
  const script = 'ls; bin/hello works'
  for (const name of ['minimal.sif', 'minimal.simg']) {
    const { error, output } = await bench.run({ base: join(fixtures, name), script })
    expect(error ?? output).toMatch(/bin\n(.*\n)*works/)
  }
})
