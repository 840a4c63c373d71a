import { execFileSync } from 'node:child_process'
import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import type { PersistentOverlay } from '../../../crds/persistent-overlay.ts'
import { allowedSourcesField } from '../../../kube/allowed-sources.ts'
import { ApiError, type KubeClient } from '../../../kube/client.ts'
import type { Clock } from '../../../kube/clock.ts'
import type { EventRecorder } from '../../../kube/events.ts'
import type { KubeObject, Resource } from '../../../kube/resource.ts'
import type { Pod } from '../../../kube/resources.ts'
import { silentLog } from '../../../kube/testing/silent-log.ts'
import { condition, genOverlay, genPod } from '../../../test/gen/objects.ts'
import { makeVolume } from '../../../test/node/images.ts'
import { attachedFiles } from '../../mount/loop.ts'
import { isDeviceMounted } from '../../node/block-device.ts'
import { readJson, writeJson } from '../../node/json-file.ts'
import { containerPaths, defaultLayout, type NodeLayout, podPaths, rootPath } from '../../node/layout.ts'
import { type Figures, type MountRecord, type ReleaseRecord, refusalSchema } from '../../node/ticket.ts'
import { createDeviceAsker } from './ask-devices.ts'
import { createFiguresReader } from './left-figures.ts'
import { releasePod } from './release.ts'
import { createOverlayReporter } from './report.ts'
import { sweepPods } from './sweep.ts'

let layout: NodeLayout
let now: Date
const devices: string[] = []
beforeEach(() => {
  const dir = mkdtempSync(join(tmpdir(), 'lamina-release-'))
  layout = { ...defaultLayout, stateDir: join(dir, 'run'), kubeletDir: join(dir, 'kubelet') }
  now = new Date()
})
afterEach(() => {
  for (const device of devices.splice(0)) execFileSync('losetup', ['-d', device])
  rmSync(join(layout.stateDir, '..'), { recursive: true })
})

const figures: Figures = {
  needsRecovery: false,
  errorCount: 0,
  blockSize: 4096,
  blocks: 1000,
  freeBlocks: 400,
  inodes: 300,
  freeInodes: 100,
}

const ending = (name: string, given: object = {}) =>
  genPod(name, { metadata: { deletionTimestamp: '2026-01-01T00:00:00Z', ...given } })

/** The API server's part: one overlay, and what is written to it and to the pod. */
const createServer = (overlay: PersistentOverlay | undefined = genOverlay('work')) => {
  const reads: string[] = []
  const writes: { verb: string; body: unknown }[] = []
  const state: { pod(name: string): Pod | undefined } = { pod: (name) => ending(name) }
  const note = async <T extends KubeObject>(verb: string, resource: Resource<T>, body: object): Promise<T> => {
    writes.push({ verb, body })
    return resource.parse({ ...genPod('dev'), ...genOverlay('work') })
  }
  const client: Pick<KubeClient, 'get' | 'apply' | 'mergePatch'> = {
    get: async (resource, { name }) => {
      reads.push(resource.kind)
      const object = resource.kind === 'Pod' ? state.pod(name) : overlay
      return object && resource.parse(object)
    },
    apply: (resource, body) => note('apply', resource, body),
    mergePatch: (resource, _key, body) => note('patch', resource, body),
  }
  const told: { kind: string; reason: string; message: string }[] = []
  const events: EventRecorder = {
    event: ({ kind }, _type, reason, message) => told.push({ kind, reason, message }),
  }
  return { client, reads, writes, state, events, told }
}

const allowedSources = allowedSourcesField.parse(undefined)
const clock: Clock = { now: () => now, monotonicMs: () => now.getTime(), setTimeout: () => () => {} }
/** As the agent asks, in this process. */
const askDevices = createDeviceAsker(clock, async (volume) => isDeviceMounted(volume))
const release = (server: ReturnType<typeof createServer>, name = 'dev') => {
  const client = { ...refusing, ...server.client }
  const report = createOverlayReporter({ client, events: server.events, clock })
  const readFigures = createFiguresReader(clock)
  const node = { layout, clock, log: silentLog, client, report, allowedSources, readFigures, askDevices }
  return releasePod(node, ending(name))
}

const refused = (): never => {
  throw new Error('nothing else is asked of the API server')
}
const refusing: KubeClient = {
  get: refused,
  list: refused,
  create: refused,
  apply: refused,
  mergePatch: refused,
  delete: refused,
  listPage: refused,
  watch: refused,
}

/** A volume of the pod's, with an image in it. */
const volumeOf = (podUID: string) => makeVolume(join(layout.kubeletDir, 'pods', podUID, 'volumes', 'local', 'v'))

const attach = (path: string, ...options: string[]): { number: number; diskseq: string } => {
  const device = execFileSync('losetup', ['--find', '--show', ...options, path], { encoding: 'utf8' }).trim()
  devices.push(device)
  const file = attachedFiles().find(({ number }) => device === `/dev/loop${number}`)
  if (!file) throw new Error(`${device} is not attached`)
  return { number: file.number, diskseq: file.diskseq }
}

const recordMount = (podUID: string, overlay: Partial<MountRecord['overlays'][number]> & { path: string }): void => {
  const paths = podPaths(layout, podUID)
  mkdirSync(paths.mounts, { recursive: true })
  mkdirSync(paths.releases, { recursive: true })
  const containerID = `c-${podUID}`
  const whole = { name: 'work', uid: 'uid-work', access: 'ReadWrite', dev: '0', ino: '0', loop: null, ...overlay }
  writeJson(join(paths.mounts, `${containerID}.json`), {
    containerID,
    createTime: now.toISOString(),
    overlays: [whole],
  })
  const container = containerPaths(layout, containerID)
  mkdirSync(container.dir, { recursive: true })
  mkdirSync(rootPath(layout, containerID), { recursive: true })
  symlinkSync(join(paths.mounts, `${containerID}.json`), container.mount)
}

const recordRelease = (podUID: string, found: Partial<ReleaseRecord['overlays'][number]> = {}): void => {
  const paths = podPaths(layout, podUID)
  mkdirSync(paths.releases, { recursive: true })
  writeJson(join(paths.releases, 'c.json'), {
    containerID: 'c',
    releaseTime: now.toISOString(),
    overlays: [{ name: 'work', uid: 'uid-work', released: true, figures, ...found }],
  })
}

describe('a pod that ends', () => {
  test('while its container waits for a ticket: the wait is told to end, or the kubelet could not end the pod', async () => {
    const { dir, refusal } = podPaths(layout, 'uid-dev')
    mkdirSync(dir, { recursive: true })
    await release(createServer())
    expect(readJson(refusal, refusalSchema)).toMatchObject({ reason: 'PodEnding', final: true })
  })

  test('after a clean end: usage and health are told, then the finalizer goes, and no other', async () => {
    recordRelease('uid-dev')
    const server = createServer()
    server.state.pod = (name) => ending(name, { finalizers: ['example.com/other', 'lamina.dev/release'] })
    expect(await release(server)).toEqual({ kind: 'released' })
    expect(server.writes).toEqual([
      {
        verb: 'apply',
        body: {
          metadata: { namespace: 'team', name: 'work', uid: 'uid-work' },
          status: {
            usage: {
              usedBytes: 600 * 4096,
              usedInodes: 200,
              capacityBytes: 1000 * 4096,
              capacityInodes: 300,
              observedTime: expect.any(String),
            },
            conditions: [expect.objectContaining({ type: 'Healthy', status: 'True', reason: 'Clean', message: '' })],
          },
        },
      },
      {
        verb: 'patch',
        body: { metadata: { resourceVersion: '1', uid: 'uid-dev', finalizers: ['example.com/other'] } },
      },
    ])
  })

  test.each<[string, Pod | undefined]>([
    ['is gone', undefined],
    ['was released before', ending('dev', { finalizers: [] })],
    ['was made anew under its name', ending('dev', { uid: 'uid-new' })],
  ])('that %s is told of no more', async (_what, pod) => {
    recordRelease('uid-dev')
    const server = createServer()
    server.state.pod = () => pod
    expect(await release(server)).toEqual({ kind: 'over' })
    expect(server.writes).toEqual([])
  })

  test('that has changed meanwhile is read again', async () => {
    const server = createServer()
    server.client.mergePatch = () => Promise.reject(new ApiError('changed', { status: 409, reason: 'Conflict' }))
    expect(await release(server)).toEqual({ kind: 'settling' })
  })

  test('that wrote nothing is let go at once', async () => {
    const server = createServer()
    expect(await release(server)).toEqual({ kind: 'released' })
    expect(server.writes.map(({ verb }) => verb)).toEqual(['patch'])
  })

  test('with its overlay mounted is held, and it is said why', async () => {
    const volume = volumeOf('uid-dev')
    recordMount('uid-dev', { path: join(volume, 'overlay.img'), loop: attach(join(volume, 'overlay.img')) })
    const server = createServer()
    expect(await release(server)).toMatchObject({
      kind: 'held',
      by: { reason: 'OverlayStillMounted', message: expect.stringContaining('overlay "work" is still mounted') },
    })
    expect([server.reads, server.writes]).toEqual([[], []])
    expect(existsSync(podPaths(layout, 'uid-dev').ticket)).toBe(false)
  })

  test('with an image attached of which there is no record is held too', async () => {
    const image = join(volumeOf('uid-dev'), 'overlay.img')
    attach(image)
    expect(await release(createServer())).toMatchObject({
      kind: 'held',
      by: { message: expect.stringContaining(image) },
    })
  })

  test('whose delete is about to come waits for its word, and does without when it does not come', async () => {
    const path = join(volumeOf('uid-dev'), 'overlay.img')
    const { dev, ino } = statSync(path, { bigint: true })
    recordMount('uid-dev', { path, dev: String(dev), ino: String(ino), loop: { number: 0, diskseq: '0' } })
    const server = createServer()
    expect(await release(server)).toEqual({ kind: 'settling' })
    expect(server.writes).toEqual([])
    now = new Date(statSync(podPaths(layout, 'uid-dev').released).mtimeMs + 3_000)
    expect(await release(server)).toEqual({ kind: 'released' })
    expect(server.writes).toMatchObject([
      { verb: 'apply', body: { status: { usage: { capacityBytes: 16 * 2 ** 20 } } } },
      { verb: 'patch' },
    ])
  })

  test('whose volume is gone tells nothing, and goes', async () => {
    recordMount('uid-dev', { path: '/nowhere/overlay.img', loop: { number: 0, diskseq: '0' } })
    const server = createServer()
    await release(server)
    now = new Date(now.getTime() + 60_000)
    expect(await release(server)).toEqual({ kind: 'released' })
    expect(server.writes.map(({ verb }) => verb)).toEqual(['patch'])
  })
})

describe('a pod whose overlay is no image', () => {
  test('but a block volume is held as long as that is mounted', async () => {
    const at = join(layout.stateDir, '..', 'at')
    mkdirSync(at)
    const { number } = attach(join(volumeOf('elsewhere'), 'overlay.img'))
    const path = `/dev/loop${number}`
    recordMount('uid-dev', { path, device: { major: 7, minor: number }, access: 'ReadOnly' })
    execFileSync('mount', ['-t', 'ext4', '-o', 'ro', path, at])
    try {
      expect(await release(createServer())).toMatchObject({ kind: 'held' })
    } finally {
      execFileSync('umount', [at])
    }
    expect(await release(createServer())).toEqual({ kind: 'released' })
  })

  test('but a directory is held as long as its lock is attached', async () => {
    const lock = join(volumeOf('uid-dev'), 'lock.squashfs')
    writeFileSync(lock, Buffer.alloc(4096))
    recordMount('uid-dev', { path: lock, loop: attach(lock, '--read-only'), ext3Offset: null })
    expect(await release(createServer())).toMatchObject({
      kind: 'held',
      by: { message: expect.stringContaining('overlay "work"') },
    })
  })
})

test('a pod whose image lies on a volume does not wait for those that use the same device on', async () => {
  const image = join(volumeOf('uid-dev'), 'tools.sif')
  writeFileSync(image, Buffer.alloc(4096))
  attach(image, '--read-only')
  expect(await release(createServer())).toEqual({ kind: 'released' })
})

describe('readers of one image', () => {
  const readers = () => {
    const image = join(volumeOf('uid-one'), 'overlay.img')
    const loop = attach(image, '--read-only')
    recordMount('uid-one', { path: image, access: 'ReadOnly', loop })
    recordMount('uid-two', { path: '/other/way/to/overlay.img', access: 'ReadOnly', loop })
  }

  test('the first to end goes; the last is held until the device is gone', async () => {
    readers()
    expect(await release(createServer(), 'one')).toEqual({ kind: 'released' })
    expect(await release(createServer(), 'two')).toMatchObject({ kind: 'held' })
    for (const device of devices.splice(0)) execFileSync('losetup', ['-d', device])
    expect(await release(createServer(), 'two')).toEqual({ kind: 'released' })
  })

  test('two that end at once do not each rely on the other', async () => {
    readers()
    const [one, two] = await Promise.all([release(createServer(), 'one'), release(createServer(), 'two')])
    expect([one.kind, two.kind].toSorted()).toEqual(['held', 'released'])
  })
})

describe('what is told of an overlay', () => {
  const told = async (found: Partial<Figures>, overlay?: PersistentOverlay) => {
    recordRelease('uid-dev', { figures: { ...figures, ...found } })
    const server = createServer(overlay)
    await release(server)
    return server.writes.find(({ verb }) => verb === 'apply')?.body
  }

  test('file-system errors make it unhealthy', async () => {
    expect(await told({ errorCount: 3 })).toMatchObject({
      status: { conditions: [{ status: 'False', reason: 'FileSystemErrors', message: expect.stringContaining('3') }] },
    })
  })

  test('one that is nearly full is told of in an Event, which names the instance', async () => {
    recordRelease('uid-dev', { figures: { ...figures, freeBlocks: 100 } })
    const server = createServer()
    await release(server)
    expect(server.told).toEqual([
      {
        kind: 'PersistentOverlay',
        reason: 'OverlayNearlyFull',
        message: expect.stringContaining('instance "dev" uses more than 85 % of the bytes'),
      },
    ])
  })

  test('an unclean end is said, and is no error', async () => {
    expect(await told({ needsRecovery: true })).toMatchObject({
      status: {
        conditions: [{ status: 'True', reason: 'JournalPending', message: expect.stringContaining('journal') }],
      },
    })
  })

  test('what was told before and is not known anew is kept: server-side apply would remove it', async () => {
    const overlay = genOverlay('work', {
      status: { lastCheckTime: '2026-01-02T00:00:00Z', conditions: [condition('Healthy', 'True', 'Clean')] },
    })
    expect(await told({}, overlay)).toMatchObject({
      status: { lastCheckTime: '2026-01-02T00:00:00Z', conditions: [{ lastTransitionTime: '2026-01-01T00:00:00Z' }] },
    })
  })

  test('an overlay of the same name that was made anew is left alone', async () => {
    expect(await told({}, genOverlay('work', { metadata: { uid: 'uid-new' } }))).toBeUndefined()
  })

  test('a refusal for good does not keep the pod; a server that is down does', async () => {
    recordRelease('uid-dev')
    const server = createServer()
    const { apply } = server.client
    server.client.apply = () => Promise.reject(new ApiError('no', { status: 403, reason: 'Forbidden' }))
    expect(await release(server)).toEqual({ kind: 'released' })
    server.client.apply = () => Promise.reject(new ApiError('later', { status: 503, reason: 'ServiceUnavailable' }))
    await expect(release(server)).rejects.toThrow('later')
    server.client.apply = apply
    expect(await release(server)).toEqual({ kind: 'released' })
  })
})

describe('the sweep', () => {
  const liveNone = async () => new Set<string>()

  test('removes what lies of pods that are gone: records, containers, roots', async () => {
    recordMount('uid-dev', { path: '/nowhere/overlay.img', loop: { number: 0, diskseq: '0' } })
    expect(await sweepPods(layout, () => false, liveNone, askDevices)).toEqual([])
    for (const dir of ['pods', 'containers', 'roots']) expect(readdirSync(join(layout.stateDir, dir))).toEqual([])
  })

  test('leaves pods alone that the copy knows, without asking the API server', async () => {
    recordRelease('uid-dev')
    const asked = () => Promise.reject(new Error('asked'))
    expect(await sweepPods(layout, () => true, asked, askDevices)).toEqual([])
    expect(readdirSync(join(layout.stateDir, 'pods'))).toEqual(['uid-dev'])
  })

  test('leaves pods alone that only the API server knows: the kubelet can be first', async () => {
    recordRelease('uid-dev')
    await sweepPods(
      layout,
      () => false,
      async () => new Set(['uid-dev']),
      askDevices,
    )
    expect(readdirSync(join(layout.stateDir, 'pods'))).toEqual(['uid-dev'])
  })

  test('keeps a gone pod that has something mounted still, and revokes its ticket', async () => {
    const image = join(volumeOf('uid-dev'), 'overlay.img')
    recordMount('uid-dev', { path: image, loop: attach(image) })
    const { ticket } = podPaths(layout, 'uid-dev')
    writeFileSync(ticket, '{}')
    expect(await sweepPods(layout, () => false, liveNone, askDevices)).toEqual(['uid-dev'])
    expect(existsSync(ticket)).toBe(false)
    expect(existsSync(containerPaths(layout, 'c-uid-dev').mount)).toBe(true)
  })
})
