import { execFileSync } from 'node:child_process'
import { existsSync, mkdirSync, statSync, writeFileSync } from 'node:fs'
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
import { isDeviceMounted } from '../../node/block-device.ts'
import { readJson } from '../../node/json-file.ts'
import { podPaths } from '../../node/layout.ts'
import { type Figures, refusalSchema } from '../../node/ticket.ts'
import { createDeviceAsker } from './ask-devices.ts'
import { createFiguresReader } from './left-figures.ts'
import { releasePod } from './release.ts'
import { createOverlayReporter } from './report.ts'
import { createLeavings, figures, type Leavings } from './testing/leavings.ts'

let left: Leavings
let now: Date
beforeEach(() => {
  now = new Date()
  left = createLeavings(() => now)
})
afterEach(() => left.clear())

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
  const node = { layout: left.layout, clock, log: silentLog, client, report, allowedSources, readFigures, askDevices }
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

describe('a pod that ends', () => {
  test('while its container waits for a ticket: the wait is told to end, or the kubelet could not end the pod', async () => {
    const { dir, refusal } = podPaths(left.layout, 'uid-dev')
    mkdirSync(dir, { recursive: true })
    await release(createServer())
    expect(readJson(refusal, refusalSchema)).toMatchObject({ reason: 'PodEnding', final: true })
  })

  test('after a clean end: usage and health are told, then the finalizer goes, and no other', async () => {
    left.recordRelease('uid-dev')
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
    left.recordRelease('uid-dev')
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
    const volume = left.volumeOf('uid-dev')
    left.recordMount('uid-dev', { path: join(volume, 'overlay.img'), loop: left.attach(join(volume, 'overlay.img')) })
    const server = createServer()
    expect(await release(server)).toMatchObject({
      kind: 'held',
      by: { reason: 'OverlayStillMounted', message: expect.stringContaining('overlay "work" is still mounted') },
    })
    expect([server.reads, server.writes]).toEqual([[], []])
    expect(existsSync(podPaths(left.layout, 'uid-dev').ticket)).toBe(false)
  })

  test('with an image attached of which there is no record is held too', async () => {
    const image = join(left.volumeOf('uid-dev'), 'overlay.img')
    left.attach(image)
    expect(await release(createServer())).toMatchObject({
      kind: 'held',
      by: { message: expect.stringContaining(image) },
    })
  })

  test('whose delete is about to come waits for its word, and does without when it does not come', async () => {
    const path = join(left.volumeOf('uid-dev'), 'overlay.img')
    const { dev, ino } = statSync(path, { bigint: true })
    left.recordMount('uid-dev', { path, dev: String(dev), ino: String(ino), loop: { number: 0, diskseq: '0' } })
    const server = createServer()
    expect(await release(server)).toEqual({ kind: 'settling' })
    expect(server.writes).toEqual([])
    now = new Date(statSync(podPaths(left.layout, 'uid-dev').released).mtimeMs + 3_000)
    expect(await release(server)).toEqual({ kind: 'released' })
    expect(server.writes).toMatchObject([
      { verb: 'apply', body: { status: { usage: { capacityBytes: 16 * 2 ** 20 } } } },
      { verb: 'patch' },
    ])
  })

  test('whose volume is gone tells nothing, and goes', async () => {
    left.recordMount('uid-dev', { path: '/nowhere/overlay.img', loop: { number: 0, diskseq: '0' } })
    const server = createServer()
    await release(server)
    now = new Date(now.getTime() + 60_000)
    expect(await release(server)).toEqual({ kind: 'released' })
    expect(server.writes.map(({ verb }) => verb)).toEqual(['patch'])
  })
})

describe('a pod whose overlay is no image', () => {
  test('but a block volume is held as long as that is mounted', async () => {
    const at = join(left.layout.stateDir, '..', 'at')
    mkdirSync(at)
    const { number } = left.attach(join(left.volumeOf('elsewhere'), 'overlay.img'))
    const path = `/dev/loop${number}`
    left.recordMount('uid-dev', { path, device: { major: 7, minor: number }, access: 'ReadOnly' })
    execFileSync('mount', ['-t', 'ext4', '-o', 'ro', path, at])
    try {
      expect(await release(createServer())).toMatchObject({ kind: 'held' })
    } finally {
      execFileSync('umount', [at])
    }
    expect(await release(createServer())).toEqual({ kind: 'released' })
  })

  test('but a directory is held as long as its lock is attached', async () => {
    const lock = join(left.volumeOf('uid-dev'), 'lock.squashfs')
    writeFileSync(lock, Buffer.alloc(4096))
    left.recordMount('uid-dev', { path: lock, loop: left.attach(lock, '--read-only'), ext3Offset: null })
    expect(await release(createServer())).toMatchObject({
      kind: 'held',
      by: { message: expect.stringContaining('overlay "work"') },
    })
  })
})

test('a pod whose image lies on a volume does not wait for those that use the same device on', async () => {
  const image = join(left.volumeOf('uid-dev'), 'tools.sif')
  writeFileSync(image, Buffer.alloc(4096))
  left.attach(image, '--read-only')
  expect(await release(createServer())).toEqual({ kind: 'released' })
})

describe('readers of one image', () => {
  const readers = () => {
    const image = join(left.volumeOf('uid-one'), 'overlay.img')
    const loop = left.attach(image, '--read-only')
    left.recordMount('uid-one', { path: image, access: 'ReadOnly', loop })
    left.recordMount('uid-two', { path: '/other/way/to/overlay.img', access: 'ReadOnly', loop })
  }

  test('the first to end goes; the last is held until the device is gone', async () => {
    readers()
    expect(await release(createServer(), 'one')).toEqual({ kind: 'released' })
    expect(await release(createServer(), 'two')).toMatchObject({ kind: 'held' })
    left.detach()
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
    left.recordRelease('uid-dev', { figures: { ...figures, ...found } })
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
    left.recordRelease('uid-dev', { figures: { ...figures, freeBlocks: 100 } })
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
    left.recordRelease('uid-dev')
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
