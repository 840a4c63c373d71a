import { execFileSync } from 'node:child_process'
import { closeSync, copyFileSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import { editExt3, makeSquashfs, makeVolume, smallBase } from '../../test/node/images.ts'
import { createRootBench, type RootBench } from '../../test/node/roots.ts'
import { lockImage } from './lock.ts'
import { attachedFiles, isAttached } from './loop.ts'
import { openFileIn } from './open.ts'
import { assertExt3, readSuperblock } from './superblock.ts'

const isPathAttached = (path: string): boolean => attachedFiles().some((file) => file.path === path)

// Each root is a process of its own, and the machine may be busy.
vi.setConfig({ testTimeout: 60_000 })

let bench: RootBench
beforeEach(() => {
  bench = createRootBench()
})
afterEach(() => bench.close())

const volume = (name: string, mebibytes?: number, ...options: string[]) =>
  makeVolume(join(bench.dir, name), mebibytes, ...options)

/** Takes the image's lock as a mount would, and gives it back. */
const tryLock = (directory: string, kind: 'shared' | 'exclusive'): void => {
  const { fd } = openFileIn(directory, 'overlay.img', 'write', directory)
  try {
    lockImage(fd, kind, directory)
  } finally {
    closeSync(fd)
  }
}

const superblockOf = (directory: string) => {
  const { fd } = openFileIn(directory, 'overlay.img', 'read', directory)
  try {
    return readSuperblock(fd)
  } finally {
    closeSync(fd)
  }
}

describe('a persistent overlay', () => {
  test('keeps what is written, changed and removed; the base stays as it was', async () => {
    const work = volume('work')
    const first = await bench.run({ readWrite: work, script: 'echo new > foo; rm etc/group; ls etc' })
    expect(first.output).toBe('hostname\nhosts\npasswd\nresolv.conf\n')
    const second = await bench.run({ readWrite: work, script: 'cat foo; ls etc/group' })
    expect(second.output).toMatch(/^new\n.*No such file/)
    const ephemeral = join(bench.dir, 'e')
    mkdirSync(ephemeral)
    const without = await bench.run({ ephemeral, script: 'ls etc/group; ls foo' })
    expect(without.output).toMatch(/^etc\/group\n.*No such file/)
  })

  test('stays an ext3 file system that Apptainer opens, cleanly unmounted', async () => {
    const work = volume('work')
    await bench.run({ readWrite: work, script: 'dd if=/dev/zero of=big bs=1M count=4 2>/dev/null' })
    const superblock = superblockOf(work)
    assertExt3(superblock)
    expect(superblock).toMatchObject({ needsRecovery: false, errorCount: 0 })
  })

  test("its root has the base root's mode and owner", async () => {
    const base = makeSquashfs(join(bench.dir, 'odd.squashfs'), ['dir / 0750 12 34', ...smallBase.slice(1)])
    const { output } = await bench.run({ readWrite: volume('work'), base, script: 'stat -c "%a %u:%g" .' })
    expect(output).toBe('750 12:34\n')
  })

  test('records in the image what it lies upon, first and when it has followed to another', async () => {
    const work = volume('work')
    const recorded = (): unknown => {
      const record = execFileSync('debugfs', ['-R', 'cat lamina.json', join(work, 'overlay.img')], { stdio: 'pipe' })
      return JSON.parse(record.toString())
    }
    await bench.run({ readWrite: work, script: 'echo kept > foo' })
    const base = { reference: 'example/base@sha256:0', digest: 'sha256:0' }
    expect(recorded()).toEqual({ base, normalised: true })
    const followTo = (digest: string, leaves: 'any' | string[]) =>
      bench.run({ readWrite: { volume: work, leaves }, digest, script: 'cat foo' })
    expect(await followTo('sha256:1', 'any')).toMatchObject({ output: 'kept\n' })
    expect(recorded()).toEqual({ base: { reference: 'example/base@sha256:1', digest: 'sha256:1' }, normalised: true })
    expect(await followTo('sha256:2', ['sha256:1'])).toMatchObject({ output: 'kept\n' })
    expect(recorded()).toMatchObject({ base: { digest: 'sha256:2' } })
  })

  test('is not mounted upon another image than it was written upon, and stays as it is', async () => {
    const work = volume('work')
    await bench.run({ readWrite: work, script: 'echo kept > foo' })
    const other = { digest: 'sha256:1', script: 'cat foo' }
    for (const leaves of [undefined, ['sha256:2']]) {
      const spec = leaves ? { volume: work, leaves } : work
      expect((await bench.run({ readWrite: spec, ...other })).error).toBe(
        'OverlayError: overlay "work" was written upon example/base@sha256:0, and would lie upon example/base@sha256:1: run it on that image, or set base: Follow for it in spec.overlays of the Instance to take it over to this one',
      )
    }
    expect(editExt3(join(work, 'overlay.img'), 'cat lamina.json')).toContain('sha256:0')
    expect((await bench.run({ readOnly: [work], ...other })).output).toBe('kept\n')
  })
})

describe('the lock of an image', () => {
  test('lives exactly as long as the mount, also when its process is killed', async () => {
    const work = volume('work')
    const root = await bench.open({ readWrite: work })
    const [loop] = root.loops
    expect(loop && isAttached(loop)).toBe(true)
    expect(isPathAttached(join(work, 'overlay.img'))).toBe(true)
    expect(() => tryLock(work, 'exclusive')).toThrow(/in use by another mount/)
    expect(() => tryLock(work, 'shared')).toThrow(/in use for writing by another mount/)
    await root.end('SIGKILL')
    expect(loop && isAttached(loop)).toBe(false)
    expect(isPathAttached(join(work, 'overlay.img'))).toBe(false)
    tryLock(work, 'exclusive')
  })

  test('is waited for by a successor', async () => {
    const work = volume('work')
    const first = await bench.open({ readWrite: work, script: 'echo one > foo' })
    const second = bench.open({ readWrite: work, script: 'cat foo', waitMs: 10_000 })
    setTimeout(() => first.end('SIGKILL'), 300)
    expect(await second).toMatchObject({ output: 'one\n' })
  })

  test('lets one writer in, and tells the other which image is in use', async () => {
    const work = volume('work')
    await bench.open({ readWrite: work })
    const { error } = await bench.run({ readWrite: work })
    expect(error).toBe(
      'OverlayError: overlay "work": overlay.img in its volume is in use by another mount on this node',
    )
  })

  test('keeps readers and a writer apart', async () => {
    const work = volume('work')
    const ephemeral = join(bench.dir, 'e')
    mkdirSync(ephemeral)
    const writer = await bench.open({ readWrite: work })
    expect((await bench.run({ readOnly: [work], ephemeral })).error).toMatch(/in use for writing by another mount/)
    await writer.end()
    const reader = await bench.open({ readOnly: [work], ephemeral })
    expect((await bench.run({ readWrite: work })).error).toMatch(/in use by another mount/)
    await reader.end()
    expect((await bench.run({ readWrite: work })).error).toBeUndefined()
  })
})

describe('readers', () => {
  const ephemeral = (name: string) => {
    const dir = join(bench.dir, name)
    mkdirSync(dir, { recursive: true })
    return dir
  }

  test('share one loop device, which outlives the first of them', async () => {
    const work = volume('work')
    await bench.run({ readWrite: work, script: 'echo v1 > text' })
    const one = await bench.open({ readOnly: [work], ephemeral: ephemeral('1'), script: 'cat text' })
    const two = await bench.open({ readOnly: [work], ephemeral: ephemeral('2'), script: 'cat text; echo own > text' })
    expect([one.output, two.output]).toEqual(['v1\n', 'v1\n'])
    expect(two.loops).toEqual(one.loops)
    await one.end()
    const [loop] = two.loops
    expect(loop && isAttached(loop)).toBe(true)
    expect(() => tryLock(work, 'exclusive')).toThrow(/in use/)
    await two.end()
    expect(loop && isAttached(loop)).toBe(false)
    tryLock(work, 'exclusive')
  })

  test('see later overlays above earlier ones, and a writer above all', async () => {
    const [low, high, own] = [volume('low'), volume('high'), volume('own')]
    await bench.run({ readWrite: low, script: 'echo low > a; echo low > b; echo low > c' })
    await bench.run({ readWrite: high, script: 'echo high > b; echo high > c' })
    await bench.run({ readWrite: own, script: 'echo own > c' })
    const { output } = await bench.run({ readOnly: [low, high], readWrite: own, script: 'cat a b c' })
    expect(output).toBe('low\nhigh\nown\n')
  })

  test('of an image that was not cleanly unmounted see its journal replayed', async () => {
    const work = volume('work')
    const writer = await bench.open({ readWrite: work, script: 'echo journalled > entry; sync entry' })
    const unclean = join(bench.dir, 'unclean')
    mkdirSync(unclean)
    copyFileSync(join(work, 'overlay.img'), join(unclean, 'overlay.img'))
    await writer.end()
    expect(superblockOf(unclean).needsRecovery).toBe(true)

    const readers = await Promise.all(
      ['1', '2', '3'].map((name) =>
        bench.open({ readOnly: [unclean], ephemeral: ephemeral(name), script: 'cat entry', waitMs: 5_000 }),
      ),
    )
    expect(readers.map(({ error, output }) => error ?? output)).toEqual([
      'journalled\n',
      'journalled\n',
      'journalled\n',
    ])
    expect(new Set(readers.map(({ loops }) => JSON.stringify(loops))).size).toBe(1)
    expect(superblockOf(unclean).needsRecovery).toBe(false)
  })

  test('of an image without anything in it see the base', async () => {
    const { output } = await bench.run({ readOnly: [volume('blank')], ephemeral: ephemeral('1'), script: 'ls' })
    expect(output).toBe('dev\netc\nopt\nproc\nsys\n')
  })
})

describe('roots of one base', () => {
  test('share one loop device', async () => {
    const roots = await Promise.all(['1', '2', '3', '4'].map((name) => bench.open({ readWrite: volume(name) })))
    expect(roots.map(({ error }) => error)).toEqual([undefined, undefined, undefined, undefined])
    const devices = execFileSync('losetup', ['--noheadings', '--output', 'NAME', '--associated', bench.base]).toString()
    expect(devices.trim().split('\n')).toHaveLength(1)
    await Promise.all(roots.map((root) => root.end('SIGKILL')))
    expect(isPathAttached(bench.base)).toBe(false)
  })
})

describe('nothing inside a volume or an image is trusted', () => {
  test.each(['upper', 'work'])('a %s that leads to the host is refused', async (name) => {
    const work = volume('work')
    editExt3(join(work, 'overlay.img'), `symlink ${name} /etc`)
    const { error } = await bench.run({ readWrite: work, script: 'ls' })
    expect(error).toMatch(new RegExp(`${name}/ of overlay "work" is or leads through a symbolic link`))
  })

  test('an `upper` that is a file is refused to a reader too', async () => {
    const work = volume('work')
    editExt3(join(work, 'overlay.img'), 'write /etc/hostname upper')
    const ephemeral = join(bench.dir, 'e')
    mkdirSync(ephemeral)
    expect((await bench.run({ readOnly: [work], ephemeral })).error).toMatch(
      /upper\/ of overlay "work" is not a directory/,
    )
  })

  test('an image that is a symbolic link is refused', async () => {
    const work = volume('work')
    const link = join(bench.dir, 'link')
    mkdirSync(link)
    symlinkSync(join(work, 'overlay.img'), join(link, 'overlay.img'))
    expect((await bench.run({ readWrite: link })).error).toMatch(/is or leads through a symbolic link/)
  })

  test.each(['ReadWrite', 'ReadOnly'])('a FIFO in the place of the image is refused at once (%s)', async (access) => {
    const work = join(bench.dir, 'fifo')
    mkdirSync(work)
    execFileSync('mkfifo', [join(work, 'overlay.img')])
    const spec = access === 'ReadWrite' ? { readWrite: work } : { readOnly: [work], ephemeral: bench.dir }
    expect((await bench.run(spec)).error).toMatch(/is a FIFO, a socket or a device: put an image/)
  })

  test('`errors=panic` in the superblock does not count', async () => {
    const work = volume('work')
    execFileSync('tune2fs', ['-e', 'panic', join(work, 'overlay.img')], { stdio: 'pipe' })
    const root = await bench.open({ readWrite: work })
    const line = readFileSync(`/proc/${root.pid}/mounts`, 'utf8')
      .split('\n')
      .find((each) => each.includes('/overlay-0 '))
    expect(line).toContain('errors=remount-ro')
    expect(line).toContain('data_err=abort')
    expect(line).toContain('nodev')
    expect(line).not.toContain('discard')
  })

  test('a device node made in the root opens no device', async () => {
    const { output } = await bench.run({ readWrite: volume('work'), script: 'mknod null c 1 3; echo x > null' })
    expect(output).toMatch(/Permission denied/)
  })

  test.each(['readWrite', 'readOnly'] as const)(
    'a volume that has lost its image is told with what to do (%s)',
    async (access) => {
      const [lost, ephemeral] = [join(bench.dir, 'lost'), join(bench.dir, 'e')]
      for (const dir of [lost, ephemeral]) mkdirSync(dir)
      const { error } = await bench.run(access === 'readWrite' ? { readWrite: lost } : { readOnly: [lost], ephemeral })
      expect(error).toMatch(
        /there is no overlay.img in its volume, .* restore it from a backup, or make another overlay/,
      )
    },
  )

  test('what is no file system is refused with its name', async () => {
    const work = join(bench.dir, 'garbage')
    mkdirSync(work)
    writeFileSync(join(work, 'overlay.img'), 'not an image')
    expect((await bench.run({ readWrite: work })).error).toMatch(
      /overlay "garbage": overlay.img: it is neither squashfs nor SIF nor ext3/,
    )
  })

  test('an ext4 image is refused: Apptainer would not open what we write', async () => {
    const work = volume('ext4', 16, '-O', 'extent')
    expect((await bench.run({ readWrite: work })).error).toMatch(/features that ext3 lacks \(incompat 0x40/)
  })
})
