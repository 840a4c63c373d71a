import { execFileSync } from 'node:child_process'
import {
  closeSync,
  copyFileSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import {
  type BlockDevice,
  makeDirectoryOverlay,
  makeExt3,
  makeSif,
  makeVolume,
  packSquashfs,
} from '../../test/node/images.ts'
import { createOverlayForms, type OverlayForms, onDevice } from '../../test/node/overlay-forms.ts'
import { createRootBench, type OverlaySpec, type RootBench } from '../../test/node/roots.ts'
import { makeWhiteout, setXattr } from './syscalls.ts'

/** What is particular to each form of an overlay; what holds for all is in overlays.test.ts. */

// Each root is a process of its own, and the machine may be busy.
vi.setConfig({ testTimeout: 60_000 })

let bench: RootBench
let forms: OverlayForms
beforeEach(() => {
  bench = createRootBench()
  forms = createOverlayForms(bench)
})
afterEach(() => bench.close())

const path = (name: string): string => join(bench.dir, name)
const device = (): BlockDevice => forms.attach(makeExt3(path(`device-${forms.devices.length}`), 16))

describe('an overlay whose growth was cut off', () => {
  const note = (uid: string): Buffer => {
    const block = Buffer.alloc(4096)
    block.write(`lamina.dev/undertaking growing ${uid}\n`)
    return block
  }
  const inVolume = (uid?: string): OverlaySpec => {
    const volume = makeVolume(path('volume'))
    writeFileSync(join(volume, '.overlay.img.undertaking'), note(uid ?? volume))
    return volume
  }
  const onBlockVolume = (uid?: string): OverlaySpec => {
    const file = makeExt3(path('grown'), 16)
    truncateSync(file, 16 * 2 ** 20 + 4096)
    const made = forms.attach(file)
    execFileSync('dd', [`of=${made.mapPath}`, 'bs=4096', 'seek=4096', 'conv=fsync'], {
      input: note(uid ?? made.mapPath),
      stdio: ['pipe', 'ignore', 'ignore'],
    })
    return onDevice(made)
  }
  const places: [string, (uid?: string) => OverlaySpec][] = [
    ['in a volume', inVolume],
    ['on a block volume', onBlockVolume],
  ]

  test.each(places)('%s is left to a writer, whom e2fsck precedes', async (_, make) => {
    const spec = make()
    expect((await bench.run({ readOnly: [spec] })).error).toMatch(
      /^OverlayError: .*its growth was cut off, and only a writer mends that: start an instance that has it ReadWrite/,
    )
    expect((await bench.run({ readWrite: spec })).error).toMatch(
      /^OverlayDamagedError: .*its growth was cut off, and it is to be checked first/,
    )
  })

  test.each(places)('%s may be another overlay that lay there before', async (_, make) => {
    const spec = make('uid-before')
    expect((await bench.run({ readOnly: [spec] })).error).toBeUndefined()
    expect((await bench.run({ readWrite: spec })).error).toBeUndefined()
  })
})

describe('a SIF', () => {
  test('is written in its overlay partition alone', async () => {
    const { spec: work } = forms.sif()
    const file = path('volume/image.sif')
    const before = readFileSync(file)
    await bench.run({ readWrite: work, script: 'dd if=/dev/zero of=big bs=1M count=9' })
    const after = readFileSync(file)
    const partition = before.length - 16 * 2 ** 20
    expect(after.length).toBe(before.length)
    expect(after.subarray(0, partition).equals(before.subarray(0, partition))).toBe(true)
    expect(after.equals(before)).toBe(false)
  })

  test('can be base and overlay at once, both read-only, by two devices over one file', async () => {
    const { spec: work } = forms.sif()
    await bench.run({ readWrite: work, script: 'echo from the overlay > text' })
    const base = { kind: 'below', directory: path('volume'), path: 'image.sif' } as const
    const { error, output } = await bench.run({ base, readOnly: [work], script: 'cat text' })
    expect(error ?? output).toBe('from the overlay\n')
  })

  test.each([0, 2])('with %i overlay partitions is refused', async (count) => {
    const root = { content: readFileSync(bench.base), fileSystem: 1, role: 2 }
    const overlay = { content: readFileSync(bench.base), fileSystem: 1, role: 4 }
    makeSif(join(bench.folder('volume'), 'image.sif'), [root, ...Array.from({ length: count }, () => overlay)])
    const spec = { volume: path('volume'), path: 'image.sif' }
    expect((await bench.run({ readOnly: [spec] })).error).toMatch(
      new RegExp(
        `overlay "volume": image.sif in its volume: it is a SIF with ${count} overlay partitions, and must have one`,
      ),
    )
  })

  test('whose overlay partition is cut off is refused', async () => {
    const { spec: work } = forms.sif()
    truncateSync(path('volume/image.sif'), 10 * 2 ** 20)
    expect((await bench.run({ readWrite: work })).error).toMatch(/partition lies outside the file: it is cut off/)
  })

  test('whose overlay file system is larger than its partition is refused', async () => {
    const overlay = readFileSync(makeExt3(path('large'), 16)).subarray(0, 8 * 2 ** 20)
    makeSif(join(bench.folder('volume'), 'image.sif'), [{ content: overlay, fileSystem: 2, role: 4 }])
    expect((await bench.run({ readWrite: { volume: path('volume'), path: 'image.sif' } })).error).toMatch(
      /its ext3 file system has 16777216 bytes, of which 8388608 are there/,
    )
  })
})

describe('a block volume', () => {
  test('is no other device than the one that the container was given', async () => {
    const [one, two] = [device(), device()]
    const { error } = await bench.run({ readWrite: onDevice({ ...one, mapPath: two.mapPath }) })
    expect(error).toMatch(new RegExp(`is block device ${two.major}:${two.minor}, and the container was given`))
  })

  test('may be named by a link of the kubelet', async () => {
    const made = device()
    symlinkSync(made.mapPath, path('map'))
    expect((await bench.run({ readWrite: onDevice({ ...made, mapPath: path('map') }) })).devices).toEqual([
      { major: made.major, minor: made.minor },
    ])
  })

  test('that is a file is refused', async () => {
    makeVolume(path('volume'))
    const spec = { volume: { kind: 'device', mapPath: path('volume/overlay.img'), major: 7, minor: 0 } } as const
    expect((await bench.run({ readWrite: spec })).error).toMatch(/overlay.img is not a block device/)
  })

  test('without a file system is refused and left as it is', async () => {
    writeFileSync(path('blank'), Buffer.alloc(2 ** 20))
    const made = forms.attach(path('blank'))
    expect((await bench.run({ readWrite: onDevice(made) })).error).toMatch(/overlay "loop\d+": no ext3 superblock/)
    expect(readFileSync(path('blank')).equals(Buffer.alloc(2 ** 20))).toBe(true)
  })

  test('whose journal is overwritten is read as it lies there', async () => {
    const made = device()
    await bench.run({ readWrite: onDevice(made), script: 'echo kept > text' })
    const journal = execFileSync('debugfs', ['-R', 'bmap <8> 0', made.mapPath], { encoding: 'utf8', stdio: 'pipe' })
    const seek = [`seek=${Number(journal)}`, 'bs=1024', 'count=1', 'conv=fsync']
    execFileSync('dd', ['if=/dev/zero', `of=${made.mapPath}`, ...seek], { stdio: 'pipe' })
    const { error, output } = await bench.run({ readOnly: [onDevice(made)], script: 'cat text' })
    expect(error ?? output).toBe('kept\n')
    expect((await bench.run({ readWrite: onDevice(made) })).error).toMatch(/does not mount its ext3 file system/)
  })

  test('mounted by somebody else is refused', async () => {
    const made = device()
    const at = bench.folder('theirs')
    execFileSync('mount', ['-t', 'ext4', made.mapPath, at])
    try {
      expect((await bench.run({ readWrite: onDevice(made) })).error).toMatch(/its device is in use by another mount/)
      expect((await bench.run({ readOnly: [onDevice(made)] })).error).toMatch(/is in use for writing by another/)
    } finally {
      execFileSync('umount', [at])
    }
  })

  test('that was not cleanly unmounted shows readers its journal replayed', async () => {
    const made = device()
    const root = await bench.open({ readWrite: onDevice(made), script: 'echo journalled > entry; sync entry' })
    copyFileSync(path('device-0'), path('unclean'))
    await root.end()
    const unclean = forms.attach(path('unclean'))
    const readers = await Promise.all(
      ['1', '2', '3'].map(() => bench.open({ readOnly: [onDevice(unclean)], script: 'cat entry', waitMs: 5_000 })),
    )
    expect(readers.map(({ error, output }) => error ?? output)).toEqual(Array(3).fill('journalled\n'))
  })

  test('takes no format Directory', async () => {
    const { kind, mapPath, major, minor } = device()
    const volume = { kind, mapPath, major, minor }
    expect((await bench.run({ readWrite: { volume, format: 'Directory' } })).error).toMatch(
      /format Directory needs a volume with a file system/,
    )
  })
})

describe('format Directory', () => {
  test('has no loop device under its files, and its lock shows in no root', async () => {
    const { spec: work } = forms.directory()
    const root = await bench.open({ readWrite: work, script: 'ls' })
    expect(root.output).toBe('dev\netc\nopt\nproc\nsys\n')
    writeFileSync(path('volume/upper/from-outside'), 'x')
    expect(readdirSync(path('volume')).toSorted()).toEqual([
      '.lamina-room',
      'lamina.json',
      'lock.squashfs',
      'upper',
      'work',
    ])
  })

  test('may lie in a directory of the volume', async () => {
    makeDirectoryOverlay(path('volume/deep/er'), path('skeleton.squashfs'))
    const work = { volume: path('volume'), path: 'deep/er', format: 'Directory' } as const
    expect((await bench.run({ readWrite: work, script: 'echo x > f' })).error).toBeUndefined()
    expect(readFileSync(path('volume/deep/er/upper/f'), 'utf8')).toBe('x\n')
  })

  test('without its lock is refused', async () => {
    bench.folder('volume')
    expect((await bench.run({ readWrite: { volume: path('volume'), path: '.', format: 'Directory' } })).error).toMatch(
      /overlay "volume": there is no lock.squashfs in its volume/,
    )
  })

  test('whose lock is no squashfs is refused', async () => {
    const { spec: work } = forms.directory()
    writeFileSync(path('volume/lock.squashfs'), 'x')
    expect((await bench.run({ readWrite: work })).error).toMatch(/it is neither squashfs nor SIF nor ext3/)
  })

  test.each(['upper', 'work', 'lamina.json', 'lock.squashfs'])(
    'whose %s leads to the host is refused',
    async (name) => {
      const { spec: work } = forms.directory()
      rmSync(path(`volume/${name}`), { force: true })
      symlinkSync('/etc', path(`volume/${name}`))
      expect((await bench.run({ readWrite: work })).error).toMatch(/is or leads through a symbolic link/)
    },
  )

  test('on a file system that cannot hold an upper layer is refused in words', async () => {
    const [lower, upper, work, merged] = ['l', 'u', 'w', 'm'].map((name) => bench.folder(name))
    execFileSync('mount', [
      '-t',
      'overlay',
      '-o',
      `lowerdir=${lower},upperdir=${upper},workdir=${work}`,
      'x',
      path('m'),
    ])
    try {
      makeDirectoryOverlay(join(merged ?? '', 'deep'), path('skeleton.squashfs'))
      const spec = { volume: path('m'), path: 'deep', format: 'Directory' } as const
      expect((await bench.run({ readWrite: spec })).error).toMatch(
        /takes no upper layer on the file system.*use format Image/,
      )
    } finally {
      execFileSync('umount', [path('m')])
    }
  })
})

describe('what can only be read', () => {
  const layerTree = (name: string): string => {
    const top = bench.folder(name)
    mkdirSync(join(top, 'etc'))
    writeFileSync(join(top, 'etc/motd'), 'from the layer\n')
    const fd = openSync(join(top, 'etc'), 'r')
    makeWhiteout(fd, Buffer.from('group'))
    closeSync(fd)
    return top
  }
  const script = 'cat etc/motd; ls etc/group; echo own > etc/motd'

  test('the root of a squashfs is a layer, whiteouts and all', async () => {
    packSquashfs(join(bench.folder('volume'), 'layer.sqfs'), layerTree('tree'))
    const layer = { volume: path('volume'), path: 'layer.sqfs' }
    for (let round = 0; round < 2; round += 1)
      expect((await bench.run({ readOnly: [layer], script })).output).toMatch(/^from the layer\n.*No such file/)
  })

  test('a directory is a layer', async () => {
    layerTree('volume/tree')
    const layer = { volume: path('volume'), path: 'tree' }
    for (let round = 0; round < 2; round += 1)
      expect((await bench.run({ readOnly: [layer], script })).output).toMatch(/^from the layer\n.*No such file/)
  })

  test('of a directory with an `upper` that is the layer', async () => {
    layerTree('volume/tree/upper')
    bench.folder('volume/tree/work')
    const { output } = await bench.run({
      readOnly: [{ volume: path('volume'), path: 'tree' }],
      script: `ls; ${script}`,
    })
    expect(output).toMatch(/^dev\netc\nopt\nproc\nsys\nfrom the layer\n/)
  })

  test.each<[string, () => string, RegExp]>([
    [
      'a squashfs',
      () => packSquashfs(join(bench.folder('volume'), 'it'), layerTree('tree')),
      /is a squashfs, which cannot be written/,
    ],
    [
      'a directory',
      () => layerTree('volume/it'),
      /is a directory without a lock \(format Image\), which cannot be written/,
    ],
  ])('%s is refused for writing', async (_what, make, words) => {
    make()
    const { error } = await bench.run({ readWrite: { volume: path('volume'), path: 'it' } })
    expect(error).toMatch(words)
    expect(error).toMatch(/overlay "volume": it in its volume is a .*: use it with access ReadOnly/)
  })

  test.each<[string, (tree: string) => void]>([
    ['a squashfs', (tree) => void packSquashfs(join(bench.folder('volume'), 'it'), tree)],
    ['a directory', (tree) => execFileSync('cp', ['-a', tree, join(bench.folder('volume'), 'it')])],
  ])('%s with forms of fuse-overlayfs is refused, with what to do', async (_what, make) => {
    const tree = layerTree('tree')
    writeFileSync(join(tree, 'etc/.wh.passwd'), '')
    make(tree)
    expect((await bench.run({ readOnly: [{ volume: path('volume'), path: 'it' }] })).error).toMatch(
      /written by another tool.*etc\/\.wh\.passwd is a deleted file.*; write it again through a mount by the kernel/,
    )
  })

  test('a squashfs with an attribute of a user namespace is refused', async () => {
    const tree = layerTree('tree')
    setXattr(Buffer.from(join(tree, 'etc')), 'user.overlay.opaque', Buffer.from('y'))
    packSquashfs(join(bench.folder('volume'), 'it'), tree)
    expect((await bench.run({ readOnly: [{ volume: path('volume'), path: 'it' }] })).error).toMatch(
      /etc is the attribute user.overlay.opaque/,
    )
  })
})
