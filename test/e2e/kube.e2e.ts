import { KubeConfig } from '@kubernetes/client-node'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { createClient, type KubeClient } from '../../kube/client.ts'
import { createEventRecorder } from '../../kube/events.ts'
import { runAsLeader } from '../../kube/leader.ts'
import { createLogger } from '../../kube/log.ts'
import { createMetrics } from '../../kube/metrics.ts'
import { createReflector } from '../../kube/reflector.ts'
import { apiVersionOf, type KubeObject, type Resource } from '../../kube/resource.ts'
import { claims, events, leases, secrets } from '../../kube/resources.ts'
import { testCluster } from './support/cluster.ts'
import { createFixture, type Fixture } from './support/fixture.ts'
import { until } from './support/until.ts'

const { cluster, kubectl } = await testCluster()

const log = createLogger('test', 'silent')
const metrics = createMetrics()
let client: KubeClient
let fixture: Fixture
let namespace: string
beforeAll(async () => {
  const config = new KubeConfig()
  config.loadFromFile(cluster.kubeconfig)
  client = createClient(config, { metrics, userAgent: 'lamina-test/1' })
  fixture = await createFixture(kubectl, 'kube')
  namespace = fixture.namespace
})
afterAll(() => fixture.destroy())

const key = (name: string) => ({ namespace, name })
const secret = (name: string, value: string, metadata: object = {}) => ({
  metadata: { name, namespace, ...metadata },
  stringData: { value },
})
const decoded = (data: Record<string, string> | undefined) => Buffer.from(data?.value ?? '', 'base64').toString()
const reasonOf = async (promise: Promise<unknown>): Promise<string> => {
  try {
    await promise
    return 'none'
  } catch (error) {
    return error instanceof Error && 'reason' in error ? String(error.reason) : String(error)
  }
}

describe('the client on a real API server', () => {
  test('gets what is there, and undefined for what is not', async () => {
    const made = await client.create(secrets, secret('got', 'one'), namespace)
    const got = await client.get(secrets, key('got'))
    expect(got).toEqual(made)
    expect(decoded(got?.data)).toBe('one')
    expect(await client.get(secrets, key('nothing'))).toBeUndefined()
    expect(await reasonOf(client.create(secrets, secret('got', 'two'), namespace))).toBe('AlreadyExists')
  })

  test('a kind that is not served is an error, not an absence', async () => {
    const gadgets: Resource<KubeObject> = { ...secrets, group: 'nowhere.lamina.dev', plural: 'gadgets', kind: 'Gadget' }
    expect(await reasonOf(client.get(gadgets, key('one')))).toBe('NotFound')
    expect(await reasonOf(client.delete(gadgets, key('one')))).toBe('NotFound')
  })

  test('an object in a namespace that is not there is an error', async () => {
    expect(await reasonOf(client.create(secrets, { metadata: { name: 'x' } }, 'nowhere'))).toBe('NotFound')
  })

  test('lists page by page, by label and by field', async () => {
    const names = Array.from({ length: 7 }, (_, i) => `listed-${i}`)
    await Promise.all(
      names.map((name, i) =>
        client.create(secrets, secret(name, name, { labels: { parity: i % 2 ? 'odd' : 'even' } }), namespace),
      ),
    )
    const found = async (selection: object) =>
      (await client.list(secrets, { namespace, ...selection })).map(({ metadata }) => metadata.name)
    expect(await found({ labelSelector: 'parity' })).toEqual(names)
    expect(await found({ labelSelector: 'parity=odd' })).toEqual(['listed-1', 'listed-3', 'listed-5'])
    expect(await found({ fieldSelector: 'metadata.name=listed-4' })).toEqual(['listed-4'])

    const page = await client.listPage(secrets, { namespace, labelSelector: 'parity', limit: 4 })
    expect(page.items).toHaveLength(4)
    const rest = await client.listPage(secrets, {
      namespace,
      labelSelector: 'parity',
      limit: 4,
      continue: page.continue,
    })
    expect(rest.items).toHaveLength(3)
    expect(rest.continue).toBeFalsy()
  })

  test('applies a whole intent: makes, changes, takes back what is no longer in it, and takes over from others', async () => {
    const apply = (annotations: object, fieldManager = 'lamina-test') =>
      client.apply(secrets, { metadata: { ...key('applied'), annotations } }, { fieldManager })
    expect((await apply({ a: '1', b: '1' })).metadata.annotations).toEqual({ a: '1', b: '1' })
    expect((await apply({ a: '2' })).metadata.annotations).toEqual({ a: '2' })
    expect((await apply({ a: '3' }, 'another')).metadata.annotations).toEqual({ a: '3' })
    const before = await client.get(secrets, key('applied'))
    const same = await apply({ a: '3' }, 'another')
    expect(same.metadata.resourceVersion, 'nothing changed').toBe(before?.metadata.resourceVersion)
  })

  test('an apply with the version of yesterday is a conflict', async () => {
    const { metadata } = await client.create(secrets, secret('versioned', 'one'), namespace)
    const apply = (resourceVersion: string, value: string) =>
      client.apply(
        secrets,
        { metadata: { ...key('versioned'), resourceVersion, annotations: { value } } },
        { fieldManager: 'lamina-test' },
      )
    const after = await apply(metadata.resourceVersion, 'two')
    expect(await reasonOf(apply(metadata.resourceVersion, 'three'))).toBe('Conflict')
    expect((await apply(after.metadata.resourceVersion, 'three')).metadata.annotations).toEqual({ value: 'three' })
  })

  test('applies and patches status', async () => {
    await client.create(
      claims,
      {
        metadata: { name: 'claim' },
        spec: {
          accessModes: ['ReadWriteOnce'],
          storageClassName: 'there-is-none',
          resources: { requests: { storage: '1Mi' } },
        },
      },
      namespace,
    )
    const condition = { type: 'Tried', status: 'True', reason: 'ByTest', message: 'it was' }
    const applied = await client.apply(
      claims,
      { metadata: key('claim'), status: { conditions: [condition] } },
      { fieldManager: 'lamina-test', subresource: 'status' },
    )
    expect(applied.status?.conditions).toMatchObject([condition])
    const patched = await client.mergePatch(
      claims,
      key('claim'),
      { status: { conditions: null }, spec: { volumeName: 'ignored' } },
      { subresource: 'status' },
    )
    expect(patched?.status?.conditions).toBeUndefined()
    expect(patched?.spec?.volumeName).toBeUndefined()
  })

  test('patches, under the conditions that the patch names', async () => {
    const made = await client.create(secrets, secret('patched', 'one'), namespace)
    const patch = (metadata: object) => client.mergePatch(secrets, key('patched'), { metadata })
    const patched = await patch({ resourceVersion: made.metadata.resourceVersion, annotations: { seen: 'yes' } })
    expect(patched?.metadata.annotations).toEqual({ seen: 'yes' })
    expect(await reasonOf(patch({ resourceVersion: made.metadata.resourceVersion, annotations: { seen: 'no' } }))).toBe(
      'Conflict',
    )
    expect(await reasonOf(patch({ uid: '00000000-0000-0000-0000-000000000000' }))).toBe('Invalid')
    expect(await client.mergePatch(secrets, key('nothing'), {})).toBeUndefined()
  })

  test('deletes only the object that was meant', async () => {
    const { metadata } = await client.create(secrets, secret('deleted', 'one'), namespace)
    const remove = (options: object) => client.delete(secrets, key('deleted'), options)
    expect(await reasonOf(remove({ uid: '00000000-0000-0000-0000-000000000000' }))).toBe('Conflict')
    expect(await reasonOf(remove({ resourceVersion: '1' }))).toBe('Conflict')
    expect(await client.get(secrets, key('deleted'))).toBeDefined()
    expect(await remove({ uid: metadata.uid, resourceVersion: metadata.resourceVersion })).toBe(true)
    expect(await remove({})).toBe(false)
  })

  test('an object that is refused says why', async () => {
    await expect(client.create(secrets, secret('Not_A_Name', 'one'), namespace)).rejects.toThrow(/Not_A_Name.*Invalid/s)
  })
})

describe('an event recorder on a real API server', () => {
  test('kubectl describe shows the event, and repeats as a count', async () => {
    const about = await client.create(secrets, secret('eventful', 'one'), namespace)
    const recorder = createEventRecorder(client, { component: 'lamina-test', host: 'here', log })
    const subject = { apiVersion: apiVersionOf(secrets), kind: secrets.kind, metadata: about.metadata }
    recorder.event(subject, 'Warning', 'Tried', 'this was tried')
    const count = (wanted: number) =>
      until(`the event counts ${wanted}`, async () => {
        const found = await client.list(events, {
          namespace,
          fieldSelector: `involvedObject.uid=${about.metadata.uid}`,
        })
        return found.length === 1 && found[0]?.count === wanted && found[0]
      })
    await count(1)
    recorder.event(subject, 'Warning', 'Tried', 'this was tried')
    recorder.event(subject, 'Warning', 'Tried', 'this was tried')
    expect(await count(3)).toMatchObject({ type: 'Warning', reason: 'Tried', source: { component: 'lamina-test' } })
    const shown = await kubectl.run(['-n', namespace, 'events', '--for', 'secret/eventful'])
    expect(shown).toMatch(/\(x3 over .*Warning +Tried .*this was tried/)
  })
})

describe('two candidates for one lease on a real API server', () => {
  test('one leads; when it stops the other takes over at once, and the lease is free after both', async () => {
    const led: string[] = []
    const candidate = (identity: string) => {
      const stop = new AbortController()
      const lead = (signal: AbortSignal) =>
        new Promise<void>((resolve) => {
          led.push(identity)
          signal.addEventListener('abort', () => resolve())
        })
      const options = { client, namespace, name: 'lock', identity, lead, log, retryMs: 200 }
      return { stop, ended: runAsLeader(options, stop.signal) }
    }
    const candidates = new Map(['a', 'b'].map((identity) => [identity, candidate(identity)]))
    const first = await until('one leads', async () => led[0])
    await until('the lease is renewed', async () => {
      const { acquireTime, renewTime } = (await client.get(leases, key('lock')))?.spec ?? {}
      return String(renewTime) > String(acquireTime)
    })
    expect(led).toEqual([first])

    candidates.get(first)?.stop.abort()
    expect(await candidates.get(first)?.ended).toBe('stopped')
    const second = await until('the other leads', async () => led[1], { seconds: 3 })
    expect(new Set(led)).toEqual(new Set(['a', 'b']))
    expect((await client.get(leases, key('lock')))?.spec).toMatchObject({ holderIdentity: second, leaseTransitions: 1 })

    candidates.get(second)?.stop.abort()
    await candidates.get(second)?.ended
    expect((await client.get(leases, key('lock')))?.spec?.holderIdentity).toBeFalsy()
  })
})

describe('a reflector on a real API server', () => {
  const observe = () => {
    const stop = new AbortController()
    const seen: string[] = []
    const reflector = createReflector({
      client,
      resource: secrets,
      namespace,
      labelSelector: 'watched',
      indexes: { color: ({ metadata }) => [metadata.labels.watched ?? ''] },
      onChange: ({ type, object }) => seen.push(`${type} ${object.metadata.name}`),
      log,
      metrics,
    })
    return { reflector, seen, stop, ended: reflector.run(stop.signal) }
  }
  const watched = (name: string, watched: string) => secret(name, name, { labels: { watched } })
  const paint = (name: string, watched: string | null) =>
    client.mergePatch(secrets, key(name), { metadata: { labels: { watched } } })

  test('sees what comes, changes, leaves its selection and goes; its own writes at once and once', async () => {
    await client.create(secrets, watched('early', 'red'), namespace)
    const { reflector, seen, stop, ended } = observe()
    await reflector.synced
    expect(reflector.list().map(({ metadata }) => metadata.name)).toEqual(['early'])

    const late = await client.create(secrets, watched('late', 'red'), namespace)
    reflector.note(late)
    expect(reflector.by('color', 'red')).toHaveLength(2)
    const painted = await paint('late', 'blue')
    if (painted) reflector.note(painted)
    expect(reflector.by('color', 'blue')).toHaveLength(1)
    await paint('early', null)
    await client.delete(secrets, key('late'))
    await until('both are gone', async () => reflector.list().length === 0)
    expect(seen).toEqual(['added early', 'added late', 'updated late', 'deleted early', 'deleted late'])
    stop.abort()
    await ended
  })

  test('goes on after the API server was killed, and misses nothing of what happened meanwhile', async () => {
    await client.create(secrets, watched('survivor', 'red'), namespace)
    await client.create(secrets, watched('victim', 'red'), namespace)
    const { reflector, seen, stop, ended } = observe()
    await reflector.synced
    await cluster.control('kube-apiserver', 'kill', 'SIGKILL')
    // The other client may be back before the reflector: that is the gap that it must bridge.
    await until('the API server answers again', () => client.delete(secrets, key('victim')).catch(() => false))
    await paint('survivor', 'blue')
    await until('the copy is as it should be', async () => {
      const [only, ...more] = reflector.list()
      return more.length === 0 && only?.metadata.labels.watched === 'blue'
    })
    expect(seen).toEqual(['added survivor', 'added victim', ...seen.slice(2)])
    expect(seen.slice(2).toSorted()).toEqual(['deleted victim', 'updated survivor'])
    stop.abort()
    await ended
  })

  test('a version of long ago is Expired, the reason that it lists anew for', async () => {
    const watch = async () => {
      const options = { namespace, resourceVersion: '1', timeoutSeconds: 5 }
      for await (const _event of client.watch(secrets, options, new AbortController().signal)) break
    }
    expect(await reasonOf(watch())).toBe('Expired')
  })
})
