import { once } from 'node:events'
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import { prefetchOf } from '../../../controller/images/prefetch.ts'
import type { ContainerImage } from '../../../crds/container-image.ts'
import { allowedSourcesField } from '../../../kube/allowed-sources.ts'
import { createAttempts } from '../../../kube/attempts.ts'
import type { KubeClient } from '../../../kube/client.ts'
import { systemClock } from '../../../kube/clock.ts'
import { type Pod, pods } from '../../../kube/resources.ts'
import { silentLog } from '../../../kube/testing/silent-log.ts'
import { digestOf, genImage, genResolved } from '../../../test/gen/objects.ts'
import { CacheFullError, RegistryError } from '../../image/errors.ts'
import { wholeDisk } from '../../image/space.ts'
import { type NodeLayout, podPaths } from '../../node/layout.ts'
import { cacheRoot, entryOf } from '../cache/entry.ts'
import { createImageCache } from '../cache/images.ts'
import { digestsHeld } from '../cache/in-use.ts'
import type { FetchImage } from '../cache/make.ts'
import { unobserved } from '../cache/observer.ts'
import { bringBytes } from '../cache/testing/images.ts'
import { makeLayout, removeLayout } from '../cache/testing/plant.ts'
import { createEndings } from './endings.ts'
import { createPrefetchReconciler, isPrefetch } from './prefetch.ts'

const prefetchRoom = { keepFree: 0, most: 50 * 2 ** 20 }
const lookAgain = { requeueAfterMs: 600_000 }
const podUID = '5f0e0d2c-0000-4000-8000-000000000001'

let layout: NodeLayout
beforeEach(() => {
  const made = makeLayout()
  layout = { ...made, kubeletDir: join(made.stateDir, '..', 'kubelet') }
})
afterEach(() => removeLayout(layout))

/** A pod of the DaemonSet that the controller makes for the image. */
const podFor = (image: ContainerImage, { status, metadata = {} }: { status?: object; metadata?: object } = {}): Pod => {
  const resolved = image.status.resolved ?? { ...genResolved(), resolveTime: '' }
  const { template } = prefetchOf(image, resolved, 'lamina:1').spec
  const named = { namespace: 'team', name: 'lamina-prefetch-debian-x', uid: podUID, ...metadata }
  return pods.parse({ ...template, metadata: { ...template.metadata, ...named }, status })
}

const image = (given: Parameters<typeof genImage>[1] = {}) => genImage('debian', given)

const create = (
  pod: Pod,
  live: ContainerImage | undefined,
  fetch?: FetchImage,
  allowed = '{"file": ["other"]}',
  { livePod, failures = 0 }: { livePod?: Pod; failures?: number } = {},
) => {
  const fetches: Parameters<FetchImage>[0][] = []
  const events: unknown[] = []
  const conditions: unknown[] = []
  const secretsSeen: string[] = []
  let reads = 0
  let failing = failures
  const client: Pick<KubeClient, 'get' | 'apply'> = {
    get: async (resource) => {
      reads += 1
      if (resource.plural === 'pods') return livePod && resource.parse(livePod)
      return live && resource.parse(live)
    },
    apply: async (resource, body) => {
      if (failing-- > 0) throw new Error('the API server is away')
      if ('status' in body) conditions.push(body.status)
      return resource.parse(body)
    },
  }
  const unasked = (): never => {
    throw new Error('not asked for in this test')
  }
  const images = createImageCache({
    ...{
      layout,
      clock: systemClock,
      observer: unobserved,
      collector: { makeRoom: () => 0, roomFor: (beforehand) => (beforehand ? prefetchRoom : wholeDisk) },
    },
    fetch: async (wanted) => {
      fetches.push(wanted)
      const { authFile } = wanted.access
      if (authFile !== undefined) secretsSeen.push(readFileSync(authFile, 'utf8'))
      if (fetch) return fetch(wanted)
      wanted.onProgress('downloaded 1 of 1 MiB (100 %)')
      return bringBytes(wanted.target, 'squashfs')
    },
  })
  const endings = createEndings()
  const attempts = createAttempts(systemClock)
  const state = { pod }
  const pass = createPrefetchReconciler({
    ...{ layout, images, attempts, log: silentLog, clock: systemClock },
    client: {
      ...client,
      ...{ list: unasked, listPage: unasked, create: unasked, mergePatch: unasked, delete: unasked, watch: unasked },
    },
    allowedSources: allowedSourcesField.parse(allowed),
    cache: { get: () => state.pod },
    events: { event: ({ kind }, type, reason, message) => events.push({ kind, type, reason, message }) },
    endingOf: endings.signalOf,
    onTrouble: () => {},
  })
  return {
    ...{ state, fetches, events, conditions, secretsSeen, attempts, endings, images },
    pass: () => pass('team/pod'),
    reads: () => reads,
  }
}

const progress = (name: string) => readFileSync(join(podPaths(layout, podUID).progress, name), 'utf8')

describe('a pod of a prefetch', () => {
  test('is told by its label; an instance with that label is none', () => {
    expect(isPrefetch(podFor(image()))).toBe(true)
    expect(isPrefetch(podFor(image(), { metadata: { finalizers: ['lamina.dev/release'] } }))).toBe(false)
  })

  test('brings the image as it is resolved now, tells how far it is, and then costs nothing', async () => {
    const agent = create(podFor(image()), image())
    expect(await agent.pass()).toEqual(lookAgain)
    expect(agent.fetches).toMatchObject([{ reference: genResolved().reference, digest: digestOf('a') }])
    expect(progress('log')).toBe('downloaded 1 of 1 MiB (100 %)\n')
    expect(JSON.parse(progress('result.json'))).toEqual({ exitCode: 0, message: 'ready' })
    expect([agent.events, agent.conditions]).toEqual([[], []])
    const before = agent.reads()
    expect(await agent.pass()).toEqual(lookAgain)
    expect(agent.reads()).toBe(before)
  })

  test('ends at once where the image is there, and keeps it until it ends itself, or others need the room', async () => {
    await create(podFor(image()), image()).pass()
    const agent = create(podFor(image()), image())
    await agent.pass()
    expect(agent.fetches).toEqual([])
    expect([...digestsHeld(layout)]).toEqual([digestOf('a')])
    agent.state.pod = podFor(image(), { status: { phase: 'Failed' } })
    await agent.pass()
    expect([...digestsHeld(layout)]).toEqual([])
  })

  test('brings the image again where it had to leave the cache for others', async () => {
    const agent = create(podFor(image()), image())
    await agent.pass()
    rmSync(entryOf(layout, digestOf('a')).dir, { recursive: true })
    expect(await agent.pass()).toEqual(lookAgain)
    expect(agent.fetches).toHaveLength(2)
  })

  test('fetches a file by the URL with its signature, which no reference shows', async () => {
    const url = 'https://files.example/a?X-Amz-Signature=secret'
    const resolved = { ...genResolved(), reference: `https://files.example/a@${digestOf('a')}` }
    const signed = image({ spec: { source: { file: { url, sha256: 'a'.repeat(64) } } }, status: { resolved } })
    const agent = create(podFor(signed), signed, undefined, '{}')
    await agent.pass()
    expect(agent.fetches).toMatchObject([{ url, reference: resolved.reference }])
  })

  test("reads the registry with the pod's own secrets", async () => {
    const secret = { spec: { source: { registry: { image: 'debian:12', pullSecrets: [{ name: 'one' }] } } } }
    const volume = join(layout.kubeletDir, 'pods', podUID, 'volumes', 'kubernetes.io~secret', 'lamina-pull-0')
    mkdirSync(join(volume, '..data'), { recursive: true })
    await writeFile(join(volume, '.dockerconfigjson'), '{"auths":{"registry.example":{"auth":"eDp5"}}}')
    const agent = create(podFor(image(secret)), image(secret))
    expect(await agent.pass()).toEqual(lookAgain)
    expect(agent.secretsSeen).toEqual(['{"auths":{"registry.example":{"auth":"eDp5"}}}'])
  })

  test('that ends while it waits is left, and the work with it', async () => {
    const started = Promise.withResolvers<void>()
    const agent = create(podFor(image()), image(), async ({ signal }) => {
      started.resolve()
      await once(signal, 'abort')
      throw signal.reason
    })
    const pass = agent.pass()
    await started.promise
    agent.endings.end(podUID)
    expect(await pass).toEqual({})
    expect(existsSync(join(podPaths(layout, podUID).progress, 'result.json'))).toBe(false)
    await vi.waitFor(() => expect(readdirSync(cacheRoot(layout))).toEqual([]))
  })

  test('takes back what it told of the fetch, also when the API server fails it the first time', async () => {
    const conditions = [{ type: 'lamina.dev/Prepared', status: 'False', reason: 'ImagePending', message: 'of 10 MiB' }]
    const pod = podFor(image(), { status: { conditions } })
    const agent = create(pod, image(), undefined, undefined, { livePod: pod, failures: 1 })
    await expect(agent.pass()).rejects.toThrow('the API server is away')
    expect(agent.conditions).toEqual([])
    expect(await agent.pass()).toEqual(lookAgain)
    expect(agent.conditions).toMatchObject([{ conditions: [{ status: 'True', reason: 'Prepared' }] }])
    expect(agent.fetches).toHaveLength(1)
    expect(JSON.parse(progress('result.json'))).toEqual({ exitCode: 0, message: 'ready' })
  })
})

describe('what keeps a prefetch', () => {
  const oneFromFile = image({
    status: { resolved: { ...genResolved(), reference: `https://files.example/a@${digestOf('a')}` } },
  })
  test.each<[string, ContainerImage | undefined, RegExp]>([
    ['ImageGone', undefined, /there is no ContainerImage "debian" in namespace team/],
    ['ImageNotResolved', image({ status: {} }), /is not resolved: see its conditions/],
    ['ImageSourceNotAllowed', oneFromFile, /images from URLs are not allowed in namespace team/],
  ])('%s is told on the pod and in its log, and tried again later', async (reason, live, words) => {
    const agent = create(podFor(image()), live)
    expect(await agent.pass()).toEqual({ requeueAfterMs: 1_000 })
    const message = expect.stringMatching(words)
    expect(agent.events).toEqual([{ kind: 'Pod', type: 'Warning', reason, message }])
    expect(agent.conditions).toMatchObject([{ conditions: [{ type: 'lamina.dev/Prepared', status: 'False', reason }] }])
    expect(progress('log')).toMatch(new RegExp(`^${reason}: `))
    const before = agent.reads()
    expect((await agent.pass()).requeueAfterMs).toBeGreaterThan(900)
    expect(agent.reads()).toBe(before)
  })

  test('the cache that is as large as it may be, likewise, and it is tried again when much has changed', async () => {
    const agent = create(podFor(image()), image(), async ({ room }) => {
      throw new CacheFullError({ needed: 2 ** 30, most: room.most })
    })
    expect(await agent.pass()).toEqual({ requeueAfterMs: 60_000 })
    const message = expect.stringMatching(
      /the image takes about 1024 MiB, and the cache of this node has room for 50 MiB /,
    )
    expect(agent.events).toMatchObject([{ reason: 'ImageNoSpace', message }])
  })

  test('a registry that refuses it, likewise', async () => {
    const agent = create(podFor(image()), image(), async () => {
      throw new RegistryError('NotFound', 'it is not in the registry')
    })
    expect(await agent.pass()).toEqual({ requeueAfterMs: 1_000 })
    expect(agent.events).toMatchObject([{ reason: 'ImageNotFound', message: 'it is not in the registry' }])
  })
})
