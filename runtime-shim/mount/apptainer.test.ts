import { execFileSync } from 'node:child_process'
import { copyFileSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import {
  makeDirectoryOverlay,
  makeExt3,
  makeSif,
  makeSquashfs,
  makeVolume,
  packSquashfs,
  smallBase,
} from '../../test/node/images.ts'
import { createRootBench, mountMemory, type OverlaySpec, type RootBench } from '../../test/node/roots.ts'
import { mountSmallDisk } from '../../test/node/small-disk.ts'
import { openOverlays } from './overlays.ts'
import type { OverlaySource } from './parts.ts'

/**
 * What Apptainer's end-to-end suite does with overlays (e2e/overlay, e2e/actions), on the mount library, and what its
 * users complain of, gone. docs/apptainer.md links here by these titles.
 */

const fixtures = join(import.meta.dirname, '../../test/fixtures')

// Each root is a process of its own, and the machine may be busy.
vi.setConfig({ testTimeout: 60_000 })

let bench: RootBench
beforeEach(() => {
  bench = createRootBench()
})
afterEach(() => bench.close())

const path = (name: string): string => join(bench.dir, name)
const image = (name = 'volume', mebibytes?: number, ...options: string[]): OverlaySpec =>
  makeVolume(path(name), mebibytes, ...options)
const directory = (name = 'volume'): OverlaySpec => ({
  volume: makeDirectoryOverlay(path(name), path('skeleton.squashfs')),
  path: '.',
  format: 'Directory',
})
const squashfsLayer = (name: string): OverlaySpec => {
  const tree = bench.folder(`${name}-tree`)
  writeFileSync(join(tree, name), `${name}\n`)
  packSquashfs(join(bench.folder(name), 'layer.sqfs'), tree)
  return { volume: path(name), path: 'layer.sqfs' }
}
const outputOf = async (request: Parameters<RootBench['run']>[0]): Promise<string> => {
  const { error, output } = await bench.run(request)
  return error ?? output
}

describe("Apptainer's cases", () => {
  const writable: [string, () => OverlaySpec][] = [
    ['a directory overlay', directory],
    ['an ext3 overlay that nobody has prepared', image],
  ]

  test.each(writable)('touch in %s', async (_what, make) => {
    expect(await outputOf({ readWrite: make(), script: 'touch file && ls file' })).toBe('file\n')
  })

  test.each(writable)('a file persists in %s', async (_what, make) => {
    const overlay = make()
    await bench.run({ readWrite: overlay, script: 'echo kept > file' })
    expect(await outputOf({ readWrite: overlay, script: 'cat file' })).toBe('kept\n')
    expect(await outputOf({ script: 'ls file' })).toMatch(/No such file/)
  })

  test.each(writable)('a removed file stays removed in %s', async (_what, make) => {
    const overlay = make()
    await bench.run({ readWrite: overlay, script: 'rm etc/group' })
    for (let round = 0; round < 2; round += 1)
      expect(await outputOf({ readWrite: overlay, script: 'ls etc/group' })).toMatch(/No such file/)
  })

  test.each(writable)('what is removed can be made again, start after start, in %s', async (_what, make) => {
    const base = makeSquashfs(path('rpm.squashfs'), [
      ...smallBase,
      'dir /opt/pkg 0755 0 0',
      'dir /opt/pkg/lib 0755 0 0',
      'file /opt/pkg/lib/old 0644 0 0 /dev/null',
    ])
    const overlay = make()
    const script =
      'rm -r opt/pkg && mkdir opt/pkg && mkdir opt/pkg/lib && mv opt/pkg opt/moved && mv opt/moved opt/pkg && ls opt/pkg/lib'
    for (let round = 0; round < 3; round += 1) expect(await outputOf({ base, readWrite: overlay, script })).toBe('')
  })

  test('an ext3 overlay and a squashfs one together', async () => {
    const readOnly = [squashfsLayer('layer')]
    const overlay = image()
    expect(await outputOf({ readOnly, readWrite: overlay, script: 'cat layer; echo own > layer' })).toBe('layer\n')
    expect(await outputOf({ readOnly, readWrite: overlay, script: 'cat layer' })).toBe('own\n')
  })

  test('two writable overlays are refused', () => {
    const source = (name: string): OverlaySource => ({
      name,
      uid: name,
      access: 'ReadWrite',
      volume: { kind: 'directory', path: makeVolume(path(name)) },
      format: 'Image',
      path: 'overlay.img',
    })
    expect(() => openOverlays([source('one'), source('two')], 0)).toThrow(
      'overlays "one" and "two": only one overlay can be ReadWrite, and it lies on top',
    )
  })

  test('the same image twice is refused', async () => {
    const overlay = image()
    expect(await outputOf({ readOnly: [overlay], readWrite: overlay })).toMatch(/are the same overlay.img: use it once/)
  })

  test('a squashfs overlay is read, and refused for writing', async () => {
    const layer = squashfsLayer('layer')
    expect(await outputOf({ readOnly: [layer], script: 'cat layer' })).toBe('layer\n')
    expect(await outputOf({ readWrite: layer })).toMatch(/is a squashfs, .*: use it with access ReadOnly/)
  })

  test('several layers are all visible', async () => {
    const readOnly = ['a', 'b', 'c'].map(squashfsLayer)
    const overlay = image()
    await bench.run({ readWrite: overlay, script: 'echo d > d' })
    expect(await outputOf({ readOnly: [...readOnly, overlay], script: 'cat a b c d' })).toBe('a\nb\nc\nd\n')
  })

  test('without the overlay the file is absent', async () => {
    await bench.run({ readWrite: image(), script: 'touch file' })
    expect(await outputOf({ script: 'ls file' })).toMatch(/No such file/)
  })

  test('a path relative to the volume', async () => {
    makeExt3(join(bench.folder('volume/deep/er'), 'work.img'))
    const overlay = { volume: path('volume'), path: 'deep/../deep/er/work.img' }
    await bench.run({ readWrite: overlay, script: 'echo kept > file' })
    expect(await outputOf({ readWrite: overlay, script: 'cat file' })).toBe('kept\n')
  })

  test('the overlay embedded in a SIF, which is the base itself', async () => {
    execFileSync('zstd', [
      '-qd',
      join(fixtures, 'minimal-overlay.sif.zst'),
      '-o',
      join(bench.folder('volume'), 'it.sif'),
    ])
    expect(await outputOf({ base: path('volume/it.sif'), script: 'ls opt/tool foo' })).toBe('foo\n\nopt/tool:\nonly\n')
    const overlay = { volume: path('volume'), path: 'it.sif' }
    const base = join(fixtures, 'minimal.sif')
    expect(await outputOf({ base, readWrite: overlay, script: 'ls foo; echo own > foo' })).toBe('foo\n')
    expect(await outputOf({ base, readOnly: [overlay], script: 'cat foo' })).toBe('own\n')
    expect(await outputOf({ base: path('volume/it.sif'), readOnly: [overlay], script: 'cat foo' })).toBe('own\n')
  })

  test('a directory read-only, with a throw-away overlay in memory', async () => {
    writeFileSync(join(bench.folder('volume/layer'), 'text'), 'layer\n')
    const ephemeral = mountMemory(bench, 'ephemeral', 8)
    const readOnly = [{ volume: path('volume'), path: 'layer' }]
    expect(await outputOf({ readOnly, ephemeral, script: 'cat text; echo own > text; cat text' })).toBe('layer\nown\n')
    expect(await outputOf({ readOnly, ephemeral, script: 'cat text' })).toBe('layer\n')
  })
})

describe('what users of Apptainer complain of', () => {
  test('of many starts at once one has the image for writing, and nothing is corrupted', async () => {
    const overlay = image()
    const starts = await Promise.all(
      Array.from({ length: 6 }, (_, index) => bench.open({ readWrite: overlay, script: `echo ${index} > writer` })),
    )
    const [winner, ...others] = starts.toSorted((a, b) => Number(a.error !== undefined) - Number(b.error !== undefined))
    expect(winner?.error).toBeUndefined()
    for (const { error } of others)
      expect(error).toMatch(/overlay.img in its volume is in use by another mount on this node/)
    await winner?.end()
    execFileSync('e2fsck', ['-f', '-n', path('volume/overlay.img')], { stdio: 'pipe' })
  })

  test('no lock is left after a kill', async () => {
    const overlay = image()
    for (let round = 0; round < 3; round += 1) {
      const root = await bench.open({
        readWrite: overlay,
        script: `cat round-* 2>/dev/null; echo ${round} > round-${round}`,
      })
      expect(root.error ?? root.output).toBe(['', '0\n', '0\n1\n'][round])
      await root.end('SIGKILL')
    }
  })

  test('what was written and synced before a crash is there after it', async () => {
    const overlay = image()
    const root = await bench.open({ readWrite: overlay, script: 'echo synced > file; sync file' })
    copyFileSync(path('volume/overlay.img'), join(bench.folder('after'), 'overlay.img'))
    await root.end()
    expect(await outputOf({ readWrite: path('after'), script: 'cat file' })).toBe('synced\n')
    execFileSync('e2fsck', ['-f', '-n', path('after/overlay.img')], { stdio: 'pipe' })
  })

  test('it works the second time, and the tenth', async () => {
    const overlay = image()
    for (let round = 0; round < 10; round += 1)
      expect(await outputOf({ readWrite: overlay, script: 'echo x >> log; wc -l < log' })).toBe(`${round + 1}\n`)
  })

  test('an image of 34 GB is mounted at once, its blocks not read', async () => {
    const overlay = image('volume', 34 * 1024)
    const { error, mountMs } = await bench.run({ readWrite: overlay })
    expect(error).toBeUndefined()
    expect(mountMs).toBeLessThan(1_000)
  })

  test('no FUSE lies in the way', async () => {
    const root = await bench.open({ readOnly: [squashfsLayer('layer')], readWrite: image() })
    const types = readFileSync(`/proc/${root.pid}/mounts`, 'utf8')
      .split('\n')
      .filter((line) => line.includes(bench.dir))
      .map((line) => line.split(' ')[2])
    expect(new Set(types)).toEqual(new Set(['tmpfs', 'squashfs', 'ext4', 'overlay']))
  })

  test.each([0, 1, 511, 4095])('an embedded partition %i bytes off has no bad magic number', async (gap) => {
    const overlay = readFileSync(makeExt3(path('overlay'), 16))
    makeSif(join(bench.folder('volume'), 'it.sif'), [{ content: overlay, fileSystem: 2, role: 4, gap }])
    const spec = { volume: path('volume'), path: 'it.sif' }
    await bench.run({ readWrite: spec, script: 'echo kept > file' })
    expect(await outputOf({ readOnly: [spec], script: 'cat file' })).toBe('kept\n')
  })

  test('owners over 65535 are kept', async () => {
    const overlay = image()
    await bench.run({ readWrite: overlay, script: 'touch file; chown 70000:4000000000 file' })
    expect(await outputOf({ readWrite: overlay, script: 'stat -c %u:%g file' })).toBe('70000:4000000000\n')
  })

  const files = 'i=0; while [ $i -lt 3000 ] && true > "$i"; do i=$((i+1)); done; echo $i'

  test('out of inodes a program is told so, and the overlay starts again, to be cleared', async () => {
    const overlay = image('volume', 16, '-N', '256')
    for (let round = 0; round < 3; round += 1)
      expect(await outputOf({ readWrite: overlay, script: files })).toMatch(/^2\d\d\n.*No space left on device/)
    expect(await outputOf({ readWrite: overlay, script: 'rm 1 && echo x > 1 && cat 1' })).toBe('x\n')
  })

  test('out of blocks it is the same', async () => {
    const overlay = image()
    for (let round = 0; round < 3; round += 1) {
      const script = 'dd if=/dev/zero of=big bs=64k; i=0; while echo > "small$i"; do i=$((i+1)); done'
      expect(await outputOf({ readWrite: overlay, script })).toMatch(/No space left on device/)
    }
    expect(await outputOf({ readWrite: overlay, script: 'rm big && echo x > 1 && cat 1' })).toBe('x\n')
  })

  test('fewer bytes per inode are more inodes', async () => {
    expect(await outputOf({ readWrite: image('volume', 16, '-i', '4096'), script: files })).toBe('3000\n')
  })

  test('a full disk under a sparse image makes errors, not processes that hang, and no damage', async () => {
    const disk = bench.folder('disk')
    bench.defer(mountSmallDisk(disk, 24))
    execFileSync('cp', [
      '--sparse=always',
      join(makeVolume(path('staging'), 64), 'overlay.img'),
      join(disk, 'overlay.img'),
    ])
    await bench.run({ readWrite: disk, script: 'echo kept > kept; sync' })

    const fill = 'for i in 1 2 3 4; do dd if=/dev/zero of=big$i bs=1M count=14 conv=fsync; done; echo over'
    const started = performance.now()
    const { error, output } = await bench.run({ readWrite: disk, script: fill })
    expect(error ?? output).toMatch(/^over\n/)
    expect(output).toMatch(/No space left on device|Input\/output error|Read-only file system/)
    expect(performance.now() - started).toBeLessThan(20_000)

    // With room again, as `prepare` checks it before the next start.
    const room = bench.folder('room')
    execFileSync('cp', ['--sparse=always', join(disk, 'overlay.img'), join(room, 'overlay.img')])
    expect(checkedByE2fsck(join(room, 'overlay.img'))).toBeLessThanOrEqual(1)
    expect(await outputOf({ readWrite: room, script: 'cat kept' })).toBe('kept\n')
  })

  test('an overlay that cannot be written is refused, not silently read-only', async () => {
    const volume = makeVolume(path('volume'))
    execFileSync('mount', ['--bind', volume, volume])
    bench.defer(() => void execFileSync('umount', [volume]))
    execFileSync('mount', ['-o', 'remount,bind,ro', volume])
    expect(await outputOf({ readWrite: volume })).toMatch(
      /overlay "volume": overlay.img in its volume cannot be written, its volume is read-only here: use it with access ReadOnly/,
    )
    expect(await outputOf({ readOnly: [volume], script: 'ls' })).toBe('dev\netc\nopt\nproc\nsys\n')
  })

  test('a sparse image takes no more room than is written in it', async () => {
    const overlay = image('volume', 1024)
    await bench.run({ readWrite: overlay, script: 'echo x > file' })
    const [kibibytes = ''] = execFileSync('du', ['-k', path('volume/overlay.img')], { encoding: 'utf8' }).split('\t')
    expect(Number(kibibytes)).toBeLessThan(100 * 1024)
  })
})

/** Its exit code: 0 nothing to do, 1 errors corrected. */
const checkedByE2fsck = (file: string): number => {
  try {
    execFileSync('e2fsck', ['-p', '-f', file], { stdio: 'pipe' })
    return 0
  } catch (error) {
    return error instanceof Error && 'status' in error && typeof error.status === 'number' ? error.status : 255
  }
}
