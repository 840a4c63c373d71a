import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import { allowedSourcesField } from '../../../kube/allowed-sources.ts'
import { createAttempts } from '../../../kube/attempts.ts'
import type { KubeClient } from '../../../kube/client.ts'
import { systemClock } from '../../../kube/clock.ts'
import type { EventRecorder } from '../../../kube/events.ts'
import type { KubeObject, Resource } from '../../../kube/resource.ts'
import { createSerializer } from '../../../kube/serially.ts'
import { silentLog } from '../../../kube/testing/silent-log.ts'
import { wholeDisk } from '../../image/space.ts'
import { writeJson } from '../../node/json-file.ts'
import { defaultLayout, type NodeLayout, podPaths } from '../../node/layout.ts'
import { createImageCache } from '../cache/images.ts'
import { unobserved } from '../cache/observer.ts'
import { prepareOverlay } from '../overlay/prepare.ts'
import { genuine, grantedImage, podUID, storedPod, type Whole } from '../testing/genuine.ts'
import { Trouble } from '../trouble.ts'
import { createEndings } from './endings.ts'
import { createFiguresReader } from './left-figures.ts'
import { createPodReconciler } from './reconcile.ts'
import { createOverlayReporter } from './report.ts'
import { readTicket } from './ticket.ts'

let layout: NodeLayout
beforeEach(() => {
  const dir = mkdtempSync(join(tmpdir(), 'lamina-reconcile-'))
  layout = {
    ...defaultLayout,
    stateDir: join(dir, 'run'),
    cacheDir: join(dir, 'cache'),
    kubeletDir: join(dir, 'kubelet'),
  }
})
afterEach(() => rmSync(join(layout.stateDir, '..'), { recursive: true }))

const paths = () => podPaths(layout, podUID)

const imageIsThere = () => {
  const dir = join(layout.cacheDir, 'images', grantedImage.digest.replace(':', '-'))
  mkdirSync(dir, { recursive: true })
  writeFileSync(join(dir, 'image'), '')
  const { reference, digest } = grantedImage
  writeJson(join(dir, 'meta.json'), { reference, sizeBytes: 0, user: 'worker', fileDigest: digest })
}

/** The volume as the kubelet lays it down, and as the runtime tells of it when `prepare` is created. */
const volumeIsThere = (): string => {
  const source = join(layout.kubeletDir, 'pods', podUID, 'volumes', 'kubernetes.io~csi', 'pvc-1', 'mount')
  mkdirSync(source, { recursive: true })
  mkdirSync(paths().dir, { recursive: true })
  writeJson(paths().volumes, { volumes: [{ mountPath: '/.lamina/overlays/0', source }] })
  return source
}

/** An agent over an API server that has these objects. */
const createAgent = (whole: Whole, prepare: typeof prepareOverlay = prepareOverlay) => {
  const reads: string[] = []
  const writes: { kind: string; body: unknown }[] = []
  const events: unknown[] = []
  const objects = (): Record<string, KubeObject | undefined> => ({
    Pod: storedPod(whole),
    Instance: whole.instance,
    PersistentOverlay: whole.overlay,
    PersistentVolumeClaim: whole.claim,
  })
  const note = async <T extends KubeObject>(resource: Resource<T>, body: object): Promise<T> => {
    writes.push({ kind: resource.kind, body })
    return resource.parse(objects()[resource.kind])
  }
  const unasked = (): never => {
    throw new Error('the agent does not ask for this')
  }
  const client: KubeClient = {
    get: async (resource) => {
      reads.push(resource.kind)
      const object = objects()[resource.kind]
      return object && resource.parse(object)
    },
    apply: note,
    mergePatch: (resource, _key, patch) => note(resource, patch),
    ...{ list: unasked, create: unasked, delete: unasked, listPage: unasked, watch: unasked },
  }
  const attempts = createAttempts(systemClock)
  const endings = createEndings()
  const convert = vi.fn(async ({ target }: { target: string }) => {
    writeFileSync(target, '')
    return { sizeBytes: 0, fetchedBytes: 0, user: '', fileDigest: grantedImage.digest }
  })
  const recorder: EventRecorder = {
    event: (about, type, reason, message) => events.push({ kind: about.kind, type, reason, message }),
  }
  const reconcile = createPodReconciler({
    ...{ layout, client, attempts, clock: systemClock, log: silentLog },
    allowedSources: allowedSourcesField.parse(undefined),
    images: createImageCache({
      ...{ layout, fetch: convert, clock: systemClock, observer: unobserved },
      collector: { makeRoom: () => 0, roomFor: () => wholeDisk },
    }),
    onePerOverlay: createSerializer(),
    prepareOverlay: prepare,
    ...{ readFigures: createFiguresReader(systemClock), askDevices: async () => [] },
    cache: { get: () => storedPod(whole) },
    events: recorder,
    report: createOverlayReporter({ client, events: recorder, clock: systemClock }),
    endingOf: endings.signalOf,
    onTicket: () => {},
    onRelease: () => {},
    onTrouble: () => {},
  })
  return { pass: () => reconcile('team/dev'), reads, writes, events, attempts, endings, convert }
}

describe('a genuine pod', () => {
  test('gets its ticket, and after that costs the API server nothing', async () => {
    imageIsThere()
    const agent = createAgent(genuine({ prepare: false }))
    expect(await agent.pass()).toEqual({})
    expect(readTicket(paths(), podUID)).toMatchObject({ user: '0', overlays: [{ uid: 'uid-work' }] })
    expect(agent.reads).toEqual(['Pod', 'Instance', 'PersistentOverlay', 'PersistentVolumeClaim'])
    expect(agent.writes).toEqual([])
    expect(agent.convert).not.toHaveBeenCalled()
    agent.reads.splice(0)
    expect(await agent.pass()).toEqual({})
    expect(agent.reads).toEqual([])
  })

  test('whose overlay the runtime found damaged has that told, once', async () => {
    imageIsThere()
    const agent = createAgent(genuine({ prepare: false }))
    await agent.pass()
    mkdirSync(paths().damages, { recursive: true })
    const damage = { overlay: { name: 'work', uid: 'uid-work' }, message: 'its root is gone' }
    writeJson(join(paths().damages, 'uid-work.json'), damage)
    await agent.pass()
    await agent.pass()
    expect(agent.writes).toMatchObject([
      { kind: 'PersistentOverlay', body: { status: { conditions: [{ status: 'False', reason: 'CheckNeeded' }] } } },
    ])
  })

  test('whose image has left the cache gets it back: a restart in place needs it', async () => {
    imageIsThere()
    const agent = createAgent(genuine({ prepare: false }))
    await agent.pass()
    rmSync(join(layout.cacheDir, 'images'), { recursive: true })
    expect(await agent.pass()).toEqual({})
    expect(agent.convert).toHaveBeenCalledTimes(1)
    expect(readTicket(paths(), podUID)).toBeDefined()
    agent.reads.splice(0)
    await agent.pass()
    expect(agent.reads).toEqual([])
  })

  test('with prepare has its image converted and its overlay made before, and prepare is told at the very end', async () => {
    const volume = volumeIsThere()
    const agent = createAgent(genuine({ size: '16Mi' }))
    expect(await agent.pass()).toEqual({})
    expect(existsSync(join(volume, 'overlay.img'))).toBe(true)
    expect(agent.writes).toMatchObject([
      { kind: 'PersistentOverlay', body: { status: { usage: { capacityBytes: 16 * 2 ** 20 } } } },
    ])
    expect(readTicket(paths(), podUID)).toBeDefined()
    expect(readFileSync(join(paths().progress, 'log'), 'utf8')).toContain('making an ext3 file system of 16 MiB')
    expect(JSON.parse(readFileSync(join(paths().progress, 'result.json'), 'utf8'))).toEqual({
      exitCode: 0,
      message: 'ready',
    })
  })

  test('whose chain breaks while that goes on gets none', async () => {
    volumeIsThere()
    const whole = genuine({ size: '16Mi' })
    const agent = createAgent(whole)
    agent.convert.mockImplementation(async ({ target }) => {
      writeFileSync(target, '')
      Object.assign(whole.overlay?.status ?? {}, { attachments: [] })
      return { sizeBytes: 0, fetchedBytes: 0, user: '', fileDigest: grantedImage.digest }
    })
    expect(await agent.pass()).toEqual({ requeueAfterMs: 1_000 })
    expect(readTicket(paths(), podUID)).toBeUndefined()
    expect(JSON.parse(readFileSync(paths().refusal, 'utf8'))).toMatchObject({ reason: 'OverlayNotHeld', final: false })
  })

  test('that ends while it waits for its pull secrets is left', async () => {
    const whole = genuine({ prepare: false })
    whole.pod.spec?.volumes?.push({ name: 'lamina-pull-0', secret: { secretName: 's' } })
    const agent = createAgent(whole)
    const pass = agent.pass()
    setTimeout(() => agent.endings.end(podUID), 100)
    expect(await pass).toEqual({})
    expect(readTicket(paths(), podUID)).toBeUndefined()
    expect(agent.convert).not.toHaveBeenCalled()
  })
})

describe('what keeps a pod', () => {
  test('is told once: in the condition, in an Event of the Instance, and to the runtime', async () => {
    imageIsThere()
    const whole = genuine({ prepare: false })
    Object.assign(whole.overlay?.status ?? {}, { attachments: [] })
    const agent = createAgent(whole)
    const message = 'overlay "work" is not attached to instance "dev"'
    expect(await agent.pass()).toEqual({ requeueAfterMs: 1_000 })
    const condition = { type: 'lamina.dev/Prepared', status: 'False', reason: 'OverlayNotHeld', message }
    expect(agent.writes).toMatchObject([{ kind: 'Pod', body: { status: { conditions: [condition] } } }])
    expect(agent.events).toEqual([{ kind: 'Instance', type: 'Warning', reason: 'OverlayNotHeld', message }])
    expect(JSON.parse(readFileSync(paths().refusal, 'utf8'))).toEqual({
      reason: 'OverlayNotHeld',
      message,
      final: false,
    })

    Object.assign(whole.pod, { status: { conditions: [condition] } })
    agent.attempts.forget(podUID)
    await agent.pass()
    expect(agent.writes).toHaveLength(1)
    expect(agent.events).toHaveLength(1)
  })

  test('is not tried again before its time, though the pod has changed', async () => {
    imageIsThere()
    const whole = genuine({ prepare: false })
    Object.assign(whole.overlay?.status ?? {}, { attachments: [] })
    const agent = createAgent(whole)
    await agent.pass()
    agent.reads.splice(0)
    expect((await agent.pass()).requeueAfterMs).toBeGreaterThan(900)
    expect(agent.reads).toEqual([])
  })

  test.each([
    ['OverlayNoSpace', 15_000],
    // Each try reads a whole file system.
    ['OverlayDamaged', 300_000],
  ] as const)('is tried again ever less often: %s', async (reason, longestMs) => {
    imageIsThere()
    volumeIsThere()
    const agent = createAgent(genuine({ size: '16Mi' }), async () => {
      throw new Trouble(reason, 'the root inode is gone')
    })
    expect(await agent.pass()).toEqual({ requeueAfterMs: 1_000 })
    for (let tries = 0; tries < 10; tries++) agent.attempts.next(podUID, { firstMs: 0, longestMs: 0 })
    expect(await agent.pass()).toEqual({ requeueAfterMs: longestMs })
  })

  test('is taken back when it has mended', async () => {
    imageIsThere()
    const whole = genuine({ prepare: false })
    const told = { type: 'lamina.dev/Prepared', status: 'False', reason: 'OverlayNotHeld', message: '' }
    Object.assign(whole.pod, { status: { conditions: [told] } })
    const agent = createAgent(whole)
    await agent.pass()
    expect(agent.writes).toMatchObject([{ body: { status: { conditions: [{ status: 'True', reason: 'Prepared' }] } } }])
    expect(existsSync(paths().refusal)).toBe(false)
  })

  test('for a moment is not told: the controller grants a moment after it has made the pod', async () => {
    imageIsThere()
    const whole = genuine({ prepare: false })
    Object.assign(whole.instance?.status ?? {}, { pod: undefined })
    const agent = createAgent(whole)
    expect(await agent.pass()).toEqual({ requeueAfterMs: 20 })
    expect(agent.writes).toEqual([])
    for (let tries = 2; tries <= 6; tries++) {
      expect(agent.events).toEqual([])
      await vi.waitFor(() => expect(agent.attempts.remainingMs(podUID)).toBe(0), 2_000)
      await agent.pass()
    }
    expect(agent.events).toMatchObject([{ reason: 'NotGranted', message: expect.stringContaining('controller') }])
  })

  test('for good is told on the pod, and ends the tries; its ticket is revoked', async () => {
    imageIsThere()
    const whole = genuine({ prepare: false })
    const agent = createAgent(whole)
    await agent.pass()
    expect(readTicket(paths(), podUID)).toBeDefined()
    Object.assign(whole.pod.metadata ?? {}, { finalizers: [] })
    expect(await agent.pass()).toEqual({})
    expect(readTicket(paths(), podUID)).toBeUndefined()
    expect(agent.events).toMatchObject([{ kind: 'Pod', type: 'Warning', reason: 'NotAnInstance' }])
    expect(JSON.parse(readFileSync(paths().refusal, 'utf8'))).toMatchObject({ final: true })
  })
})
