import { execFileSync } from 'node:child_process'
import { mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import {
  attachBlockDevice,
  type BlockDevice,
  makeDirectoryOverlay,
  makeExt3,
  makeSif,
  makeSquashfs,
} from '../../test/node/images.ts'
import {
  type BenchContainer,
  createRuntimeBench,
  type RuntimeBench,
  withBlockVolume,
} from '../../test/node/runtime-bench.ts'
import { readJson } from '../node/json-file.ts'
import { imagePaths, installedPaths, podPaths } from '../node/layout.ts'
import { type TicketInput, volumesSchema } from '../node/ticket.ts'
import { parseArguments } from './args.ts'
import { create } from './create.ts'

let bench: RuntimeBench
beforeAll(async () => {
  bench = await createRuntimeBench()
}, 60_000)
afterAll(() => bench.close())

let count = 0
const newDirectory = (): string => {
  const dir = join(bench.dir, `volume-${count++}`)
  mkdirSync(dir)
  return dir
}

/** runc may have to wait for a cgroup, and says so. */
const quietly = { exitCode: 0, stderr: expect.not.stringMatching(/^lamina:/m) }

const mountPath = '/.lamina/overlays/0'
const work = { name: 'work', uid: 'work-uid', access: 'ReadWrite', mountPath } as const
const ephemeralPath = '/.lamina/ephemeral'

/** A container with the overlay, and a throw-away one where that is read-only. */
const onVolume = (directory: string, overlay: Partial<TicketInput['overlays'][number]>): BenchContainer => {
  const container = bench.container({
    mounts: [
      { destination: mountPath, source: directory },
      { destination: ephemeralPath, source: newDirectory() },
    ],
  })
  const ephemeral = overlay.access === 'ReadOnly' ? { mountPath: ephemeralPath } : null
  bench.ticket(container.podUID, { overlays: [{ ...work, ...overlay }], ephemeral })
  return container
}

const write = (container: BenchContainer): void => {
  bench.started(container)
  expect(bench.exec(container, 'sh', '-c', 'echo kept > /foo')).toMatchObject({ exitCode: 0 })
}

const expectKept = (container: BenchContainer): void => {
  bench.started(container)
  expect(bench.exec(container, 'cat', '/foo').stdout).toBe('kept\n')
}

const clean = { needsRecovery: false, errorCount: 0, blockSize: 1024, blocks: 16_384 }

describe('an overlay in a volume', () => {
  test('may have another path than the usual', () => {
    const directory = newDirectory()
    mkdirSync(join(directory, 'deep'))
    makeExt3(join(directory, 'deep/tools.img'))
    const container = onVolume(directory, { path: 'deep/tools.img' })
    write(container)
    bench.ended(container)
    const reader = onVolume(directory, { path: 'deep/tools.img', access: 'ReadOnly' })
    expectKept(reader)
    bench.ended(reader)
  })

  test('of format Directory: its lock is on record, and it has no superblock to report', () => {
    const directory = makeDirectoryOverlay(newDirectory(), installedPaths(bench.layout).skeleton)
    const container = onVolume(directory, { format: 'Directory', path: '.' })
    write(container)
    expect(readFileSync(join(directory, 'upper/foo'), 'utf8')).toBe('kept\n')
    expect(bench.recordOf(container)?.overlays).toMatchObject([
      { path: join(directory, 'lock.squashfs'), loop: { number: expect.any(Number) }, device: null, ext3Offset: null },
    ])
    expect(bench.ended(container)).toMatchObject(quietly)
    expect(bench.releaseOf(container)?.overlays).toEqual([
      { name: 'work', uid: 'work-uid', released: true, figures: null },
    ])
  })

  test('that was written upon another image is mounted only where the ticket lets it leave that', () => {
    const directory = makeDirectoryOverlay(newDirectory(), installedPaths(bench.layout).skeleton)
    const base = { reference: 'example/other@sha256:1', digest: 'sha256:1' }
    mkdirSync(join(directory, 'upper'))
    writeFileSync(join(directory, 'lamina.json'), JSON.stringify({ base, normalised: true }))
    const refused = bench.create(onVolume(directory, { format: 'Directory', path: '.' }))
    expect(refused.stderr).toMatch(/overlay "work" was written upon example\/other@sha256:1, and would lie upon/)
    const follower = onVolume(directory, { format: 'Directory', path: '.', leaves: ['sha256:1'] })
    write(follower)
    bench.ended(follower)
  })

  test('in a SIF: its figures are read where its partition is', () => {
    const directory = newDirectory()
    const content = readFileSync(makeExt3(join(bench.dir, `partition-${count}`)))
    const base = readFileSync(makeSquashfs(join(bench.dir, `root-${count}`), ['dir / 0755 0 0']))
    makeSif(join(directory, 'both.sif'), [
      { content: base, fileSystem: 1, role: 2 },
      { content, fileSystem: 2, role: 4, gap: 3000 },
    ])
    const container = onVolume(directory, { path: 'both.sif' })
    write(container)
    const [recorded] = bench.recordOf(container)?.overlays ?? []
    expect(recorded?.ext3Offset).toBeGreaterThan(4096)
    bench.ended(container)
    expect(bench.releaseOf(container)?.overlays).toMatchObject([{ released: true, figures: clean }])
    const again = onVolume(directory, { path: 'both.sif' })
    expectKept(again)
    bench.ended(again)
  })

  test('that the kubelet took away before `delete`, as CRI-O has it, is released without a word on its state', () => {
    const directory = newDirectory()
    makeExt3(join(directory, 'overlay.img'))
    const container = onVolume(directory, {})
    write(container)
    bench.kill(container)
    execFileSync('mv', [directory, `${directory}.away`])
    expect(bench.delete(container)).toMatchObject(quietly)
    expect(bench.releaseOf(container)?.overlays).toMatchObject([{ released: true, figures: null }])
  })
})

describe('an overlay on a block volume', () => {
  let device: BlockDevice
  const attach = () => {
    device = attachBlockDevice(makeExt3(join(bench.dir, `disk-${count++}`)))
    return device
  }
  afterEach(() => device.detach())

  /** A container with the device as the kubelet and containerd hand it over. */
  const onDevice = (overlay: Partial<TicketInput['overlays'][number]> = {}, name = 'main'): BenchContainer => {
    const podUID = crypto.randomUUID()
    const { mount, change } = withBlockVolume(bench.dir, podUID, mountPath, device)
    const mounts = [mount, { destination: ephemeralPath, source: newDirectory() }]
    const container = bench.container({ podUID, name, mounts, change })
    const ephemeral = overlay.access === 'ReadOnly' ? { mountPath: ephemeralPath } : null
    bench.ticket(podUID, { overlays: [{ ...work, volumeMode: 'Block', ...overlay }], ephemeral })
    return container
  }

  test('is mounted itself, is on record by its numbers, and its superblock is read when it is free', () => {
    const { major, minor, mapPath } = attach()
    const container = onDevice()
    write(container)
    expect(bench.recordOf(container)?.overlays).toMatchObject([
      { path: mapPath, loop: null, device: { major, minor }, ext3Offset: 0 },
    ])
    expect(bench.ended(container)).toMatchObject(quietly)
    expect(bench.recordOf(container)).toBeUndefined()
    expect(bench.releaseOf(container)?.overlays).toMatchObject([{ released: true, figures: clean }])
    const reader = onDevice({ access: 'ReadOnly' })
    expectKept(reader)
    bench.ended(reader)
  })

  test('is not in the container, neither as a node nor as a permission', () => {
    const { major, minor } = attach()
    const container = onDevice()
    bench.started(container)
    expect(bench.exec(container, 'ls', '/.lamina').stdout).toBe('init\n')
    const config = readFileSync(join(container.bundle, 'config.json'), 'utf8')
    expect(config).not.toContain(`"major":${major},"minor":${minor}`)
    expect(config).toContain('"devices":[{"allow":false,"access":"rwm"}]')
    bench.ended(container)
  })

  test('is refused to others for as long as a container has it, in words that say who has it', () => {
    attach()
    const first = onDevice()
    bench.started(first)
    const waits = { ticketMs: 100, finalMs: 100, lockMs: 20, totalMs: 200 }
    const want = (access: 'ReadWrite' | 'ReadOnly') => () => {
      const { id, bundle } = onDevice({ access })
      create(bench.layout, parseArguments(['create', '--bundle', bundle, id]), new Date(), waits)
    }
    const holder = /^overlay "work" is in use: instance default\/bench has it for writing on this node since 20/
    expect(want('ReadWrite')).toThrow(holder)
    expect(want('ReadOnly')).toThrow(holder)
    bench.ended(first)
  })

  test('whose numbers are none of the pod’s own volumes is not opened', () => {
    const { major, minor } = attach()
    const container = onDevice()
    execFileSync('rm', ['-r', join(bench.dir, 'kubelet/pods', container.podUID, 'volumeDevices')])
    expect(bench.create(container).stderr).toContain(
      `the kubelet has no block volume ${major}:${minor} of this pod below ${bench.dir}/kubelet/pods/${container.podUID}/volumeDevices`,
    )
  })

  test('is told to the agent when `prepare` is created, which gets neither', () => {
    const { major, minor } = attach()
    const container = onDevice({}, 'prepare')
    bench.create(container)
    expect(readJson(podPaths(bench.layout, container.podUID).volumes, volumesSchema)).toMatchObject({
      devices: [{ mountPath, device: { major, minor } }],
    })
    expect(readFileSync(join(container.bundle, 'config.json'), 'utf8')).not.toContain(`"minor":${minor}`)
  })
})

describe('the image', () => {
  const digest = `sha256:${'b'.repeat(64)}`
  const ephemeral = { mountPath: ephemeralPath }
  const basePath = '/.lamina/base'

  const onImage = (image: Partial<TicketInput['image']>, mounts: { destination: string; source: string }[] = []) => {
    const container = bench.container({ mounts: [{ destination: ephemeralPath, source: newDirectory() }, ...mounts] })
    bench.ticket(container.podUID, { image: { reference: `x@${digest}`, digest, ...image }, ephemeral })
    return container
  }
  const onVolumeImage = (source: string, path: string) =>
    onImage({ volume: { mountPath: basePath, path } }, [{ destination: basePath, source }])

  const expectRuns = (container: BenchContainer): void => {
    bench.started(container)
    expect(bench.exec(container, 'sh', '-c', 'echo x > /new; cat /new; ls /.lamina').stdout).toBe('x\ninit\n')
    expect(bench.ended(container)).toMatchObject(quietly)
  }

  test('in the cache may be a SIF as it came', () => {
    const { dir, file } = imagePaths(bench.layout, digest)
    mkdirSync(dir)
    makeSif(file, [{ content: readFileSync(bench.base), fileSystem: 1, role: 2, gap: 100 }])
    expectRuns(onImage({}))
  })

  test('may lie on a volume of the pod, as a file or as a directory', () => {
    const volume = newDirectory()
    execFileSync('cp', [bench.base, join(volume, 'debian.sqfs')])
    expectRuns(onVolumeImage(volume, 'debian.sqfs'))
    execFileSync('rdsquashfs', ['-q', '-C', '-u', '/', '-p', join(volume, 'box'), bench.base])
    expectRuns(onVolumeImage(volume, 'box'))
    expectRuns(onVolumeImage(join(volume, 'box'), ''))
  })

  test.each<[string, string, (path: string) => void, RegExp]>([
    ['an empty file', 'images/none.sif', (path) => writeFileSync(path, ''), /: it is empty: put a whole squashfs/],
    [
      'text',
      'notes.txt',
      (path) => writeFileSync(path, 'hello\n'),
      /neither squashfs nor SIF nor ext3 .*: put a whole/,
    ],
    [
      'a file that is cut off',
      'half.sqfs',
      (path) => writeFileSync(path, readFileSync(bench.base).subarray(0, 8192)),
      /: it is cut off: .* are there: put a whole squashfs/,
    ],
    ['a FIFO', 'pipe', (path) => execFileSync('mkfifo', [path]), / is a FIFO, a socket or a device: put an image/],
    ['a folder of files', 'images', () => {}, /: it is a directory without directories, .*: put a whole squashfs/],
  ])('on a volume is no image: %s', (_, path, make, words) => {
    const volume = newDirectory()
    mkdirSync(join(volume, 'images'))
    make(join(volume, path))
    const { stderr } = bench.create(onVolumeImage(volume, path))
    expect(stderr).toMatch(words)
    expect(stderr).toMatch(new RegExp(`^lamina: "${path}" on PersistentVolumeClaim \\S+`))
    expect(stderr).not.toContain(volume)
  })

  test('on a volume is not looked for outside of it', () => {
    const volume = newDirectory()
    symlinkSync('/etc', join(volume, 'link'))
    const refused = bench.create(onVolumeImage(volume, 'link')).stderr
    expect(refused).toMatch(/"link" on PersistentVolumeClaim \S+ is or leads through a symbolic link/)
    expect(refused).not.toContain(volume)
    expect(bench.create(onVolumeImage(volume, '../..')).stderr).toContain('leads out of')
  })

  test('as ext3, of Singularity 2.x, is mounted only by leave', () => {
    const volume = newDirectory()
    const box = join(bench.dir, `box-${count++}`)
    execFileSync('rdsquashfs', ['-q', '-C', '-u', '/', '-p', box, bench.base])
    makeExt3(join(volume, 'old.img'), 64, '-d', box)
    const refused = onVolumeImage(volume, 'old.img')
    expect(bench.create(refused).stderr).toContain('allowedSources.ext3Base')
    const mounts = [{ destination: basePath, source: volume }]
    expectRuns(onImage({ volume: { mountPath: basePath, path: 'old.img' }, allowExt3: true }, mounts))
  })
})
