import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import * as z from 'zod'
import { imageReference, testCluster } from './support/cluster.ts'
import { conditionOf, isReady } from './support/conditions.ts'
import { createFixture, type Fixture } from './support/fixture.ts'
import { variantImages } from './support/images.ts'
import type { KubeObject } from './support/kubectl.ts'
import { containerImage, instance, persistentOverlay, promptly } from './support/objects.ts'
import { operatorNamespace } from './support/operator.ts'
import { registrySecret, registrySecretName } from './support/registry.ts'
import { until } from './support/until.ts'

const { cluster, kubectl } = await testCluster()

let fixture: Fixture
beforeAll(async () => {
  fixture = await createFixture(kubectl, 'lifecycle')
  await variantImages(cluster)
  await fixture.apply(
    registrySecret(cluster),
    containerImage('debian', imageReference(cluster, 'library/debian:12'), { pullSecrets: [registrySecretName] }),
    containerImage('configured', imageReference(cluster, 'test/configured:1'), { pullSecrets: [registrySecretName] }),
  )
})
afterAll(() => fixture.destroy())

const told = (name: string, type: string, pattern: RegExp, seconds = 60) =>
  until(
    `instance ${name} says ${pattern}`,
    async () => {
      const object = await fixture.get('instance', name)
      const { status, reason, message } = conditionOf(object, type)
      return pattern.test(`${status} ${reason}: ${message}`) && object
    },
    { seconds, describe: async () => JSON.stringify((await fixture.get('instance', name)).status, undefined, 1) },
  )
const podUID = async (name: string): Promise<string> => (await fixture.get('pod', name)).metadata.uid ?? ''
const isGone = async (kind: string, name: string): Promise<boolean> =>
  (await kubectl.try(['-n', fixture.namespace, 'get', kind, name])).stderr.includes('NotFound')
const requestStart = (name: string, token: string) =>
  kubectl.run([
    ...['-n', fixture.namespace, 'annotate', '--overwrite', `instance/${name}`],
    `lamina.dev/start-requested=${token}`,
  ])

describe('updatePolicy', () => {
  const dev = (spec: object) => instance('dev', { overlays: ['work'], podTemplate: promptly, ...spec })
  beforeAll(async () => {
    await fixture.apply(persistentOverlay('work'), dev({}))
    await fixture.ready('instance', 'dev')
  })

  test('OnRestart: a change waits for the restart of the pod, and says so', async () => {
    const uid = await podUID('dev')
    await fixture.exec('dev', 'touch', '/kept')
    await fixture.apply(dev({ env: [{ name: 'COLOUR', value: 'red' }] }))
    const changed = await told('dev', 'UpToDate', /^False RestartRequired/)
    expect(isReady(changed)).toBe(true)
    expect(await podUID('dev')).toBe(uid)
    await fixture.delete('pod', 'dev')
    await told('dev', 'UpToDate', /^True/)
    await fixture.ready('instance', 'dev')
    expect(await fixture.exec('dev', 'sh', '-c', 'echo $COLOUR; ls /kept')).toBe('red\n/kept')
  })

  test('Recreate: the pod is replaced at once, and the overlay goes to nobody who waits for it', async () => {
    const uid = await podUID('dev')
    await fixture.apply(instance('rival', { overlays: ['work'], podTemplate: promptly }))
    await told('rival', 'OverlaysReady', /OverlayInUse/)
    await fixture.apply(dev({ updatePolicy: 'Recreate', env: [{ name: 'COLOUR', value: 'blue' }] }))
    await until('another pod runs', async () => (await podUID('dev').catch(() => uid)) !== uid)
    await fixture.ready('instance', 'dev')
    expect(await fixture.exec('dev', 'sh', '-c', 'echo $COLOUR; ls /kept')).toBe('blue\n/kept')
    expect(conditionOf(await fixture.get('instance', 'rival'), 'OverlaysReady').reason).toBe('OverlayInUse')
  })

  test('Recreate: a pod runs on while another would have to wait for an overlay', async () => {
    await fixture.apply(persistentOverlay('other'), instance('owner', { overlays: ['other'], podTemplate: promptly }))
    await fixture.ready('instance', 'owner')
    const uid = await podUID('dev')
    await fixture.apply(dev({ overlays: ['other'], updatePolicy: 'Recreate' }))
    await told('dev', 'UpToDate', /WaitingForOverlay.*another pod would wait: overlay "other".*owner/)
    expect(await podUID('dev')).toBe(uid)
    await fixture.end('owner')
    await fixture.ready('instance', 'rival')
    await told('dev', 'UpToDate', /^True/)
    await fixture.ready('instance', 'dev')
    expect((await fixture.tryExec('dev', 'ls', '/kept')).exitCode).not.toBe(0)
    expect(await fixture.exec('rival', 'ls', '/kept')).toBe('/kept')
    await fixture.end('rival')
    await fixture.end('dev')
  })

  test('a pod whose process does not run is replaced under either policy', async () => {
    const nowhere = { spec: { ...promptly.spec, nodeSelector: { nowhere: 'yes' } } }
    await fixture.apply(instance('astray', { podTemplate: nowhere }))
    await told('astray', 'Ready', /Unschedulable/)
    await fixture.apply(instance('astray', { podTemplate: promptly }))
    await fixture.ready('instance', 'astray')
    await fixture.end('astray')
  })

  test('what is changed while it is stopped is taken at the start', async () => {
    await fixture.apply(
      containerImage('other', imageReference(cluster, 'library/debian:12'), { pullSecrets: [registrySecretName] }),
      dev({ state: 'Stopped' }),
    )
    await told('dev', 'Ready', /^True Stopped/)
    await fixture.apply(dev({ image: 'other', overlays: ['other'] }))
    await fixture.ready('instance', 'dev')
    expect(conditionOf(await fixture.get('instance', 'dev'), 'UpToDate').status).toBe('True')
    await fixture.end('dev')
  })
})

/** The kubelet ends such a pod as it ends an evicted one: phase Failed, with a reason. */
const shortLived = { spec: { ...promptly.spec, activeDeadlineSeconds: 2 } }

describe('a pod that ends by itself', () => {
  const backoffSchema = z.object({ podUID: z.string(), count: z.number(), retryTime: z.iso.datetime() })
  const backoffOf = ({ status }: KubeObject) => backoffSchema.parse(status?.backoff)

  test('is followed by another, later each time, also over a restart of the controller', async () => {
    await fixture.apply(instance('again', { restartPolicy: 'OnFailure', entrypoint: 'Idle', podTemplate: shortLived }))
    const first = backoffOf(await told('again', 'Ready', /^False PodFailed: DeadlineExceeded.*next pod is made at/))
    expect(first.count).toBe(1)
    await kubectl.run(['-n', operatorNamespace, 'rollout', 'restart', 'deployment/lamina-controller'])
    const second = await until(
      'it has failed again',
      async () => {
        const { backoff } = (await fixture.get('instance', 'again')).status ?? {}
        const { data } = backoffSchema.safeParse(backoff)
        return data?.count === 2 && data
      },
      { seconds: 90 },
    )
    expect(Date.parse(second.retryTime) - Date.parse(first.retryTime)).toBeGreaterThanOrEqual(20_000)
    await told('again', 'Ready', /2 pods in a row have ended by themselves/)
    await kubectl.run(['-n', operatorNamespace, 'rollout', 'status', 'deployment/lamina-controller'])
    await fixture.end('again')
  })

  test('Never: it stays as it failed, until a start is asked for', async () => {
    await fixture.apply(instance('once', { restartPolicy: 'Never', entrypoint: 'Idle', podTemplate: shortLived }))
    await told('once', 'Stalled', /^True Failed/)
    const uid = await podUID('once')
    await requestStart('once', 'one')
    await until('another pod runs', async () => (await podUID('once').catch(() => uid)) !== uid)
    const { status } = await told('once', 'Stalled', /^True Failed/)
    expect(status?.startRequest).toMatchObject({ token: 'one' })
    await fixture.end('once')
  })
})

describe.concurrent('idleTimeoutSeconds', () => {
  test('stops what nobody uses, says why and how to go on, and starts it at a request without touching the spec', async () => {
    const dev = instance('idle', { overlays: ['mine'], idleTimeoutSeconds: 60, podTemplate: promptly })
    await fixture.apply(persistentOverlay('mine'), dev)
    const { metadata } = await fixture.ready('instance', 'idle')
    const session = fixture.exec('idle', 'sleep', '55')
    await told('idle', 'Idle', /^False Used: processes by exec: 1 \(sleep\)|^False Used: its node has not seen/)
    await session
    expect(conditionOf(await fixture.get('instance', 'idle'), 'Idle').status).toBe('False')
    await told('idle', 'Idle', /^True NotUsed: no process by exec.*is stopped when/, 90)
    const stopped = await told('idle', 'Ready', /^True Idle: nobody has used it since .*start-requested/, 90)
    expect(conditionOf(stopped, 'Running').reason).toBe('Idle')
    expect(stopped.metadata.generation).toBe(metadata.generation)
    expect(await isGone('pod', 'idle')).toBe(true)

    await fixture.apply(instance('other', { overlays: ['mine'], podTemplate: promptly }))
    await fixture.ready('instance', 'other')
    await fixture.end('other')

    await requestStart('idle', 'monday')
    const started = await told('idle', 'Running', /^True/)
    expect(started.status?.startRequest).toMatchObject({ token: 'monday' })
    expect(started.status?.idleStop).toBeUndefined()
    expect(started.metadata.generation).toBe(metadata.generation)
    await fixture.end('idle')
  }, 300_000)

  test('what works counts as used, without anybody in it', async () => {
    const busy = 'while :; do :; done'
    await fixture.apply(
      instance('busy', { idleTimeoutSeconds: 30, command: ['bash', '-c', busy], podTemplate: promptly }),
    )
    await fixture.ready('instance', 'busy')
    await sleep(75_000)
    expect(conditionOf(await fixture.get('instance', 'busy'), 'Idle')).toMatchObject({ status: 'False' })
    expect(conditionOf(await fixture.get('instance', 'busy'), 'Running')).toMatchObject({ status: 'True' })
    await fixture.end('busy')
  }, 180_000)
})

describe('a Service, where spec.service asks for one', () => {
  const web = (spec: object) =>
    instance('web', { ports: [{ name: 'http', containerPort: 8080 }], podTemplate: promptly, ...spec })
  const serviceSchema = z.object({
    type: z.string(),
    clusterIP: z.string(),
    ports: z.array(z.object({ port: z.number() })),
  })
  const service = async () => serviceSchema.parse((await fixture.get('service', 'web')).spec)

  test('leads to the pod, and keeps its address while the instance is stopped', async () => {
    await fixture.apply(web({ service: {} }))
    const { status } = await fixture.ready('instance', 'web')
    expect(conditionOf({ ...(await fixture.get('instance', 'web')), status }, 'ServiceReady').status).toBe('True')
    const { clusterIP } = await service()
    await until('its endpoint is the pod', async () => {
      const [slice] = await kubectl.list(fixture.namespace, 'endpointslices', 'kubernetes.io/service-name=web')
      const { podIP } = (await fixture.get('pod', 'web')).status ?? {}
      return JSON.stringify(slice).includes(`"${podIP}"`)
    })
    await fixture.apply(web({ service: { type: 'NodePort' }, state: 'Stopped' }))
    await told('web', 'Ready', /^True Stopped/)
    expect(await service()).toMatchObject({ type: 'NodePort', clusterIP })
  })

  test('goes when it is not asked for any more', async () => {
    await fixture.apply(web({}))
    await until('the Service is gone', () => isGone('service', 'web'))
    await fixture.delete('instance', 'web')
  })

  test("a stranger's of its name is told and left alone", async () => {
    const strange = { selector: { app: 'mine' }, ports: [{ port: 1 }] }
    await fixture.apply({ apiVersion: 'v1', kind: 'Service', metadata: { name: 'web' }, spec: strange })
    await fixture.apply(web({ service: {} }))
    await told('web', 'Stalled', /^True ServiceNameTaken/)
    expect(conditionOf(await fixture.get('instance', 'web'), 'Running').status).toBe('True')
    expect(await service()).toMatchObject({ ports: [{ port: 1 }] })
    await fixture.delete('service', 'web')
    await fixture.ready('instance', 'web')
    expect(await service()).toMatchObject({ ports: [{ port: 8080 }] })
    await fixture.end('web')
    await until('the Service went with the instance', () => isGone('service', 'web'))
  })
})

describe('a graceful stop', () => {
  test('an instance that idles ends at once, long before its grace is over', async () => {
    await fixture.apply(instance('calm', {}))
    await fixture.ready('instance', 'calm')
    const begin = performance.now()
    await fixture.apply(instance('calm', { state: 'Stopped' }))
    await told('calm', 'Ready', /^True Stopped/)
    expect(performance.now() - begin).toBeLessThan(10_000)
    await fixture.end('calm')
  })

  test.each([
    ['SIGTERM', 'debian', 'TERM'],
    ["the image's own stop signal", 'configured', 'INT'],
  ])('a process gets %s, and has its grace to end as it likes', async (_, image, signal) => {
    const careful = `trap 'sleep 3; echo saved > /result; exit 0' ${signal}; while :; do sleep 0.1; done`
    const overlay = `results-${image}`
    const writer = (more: object) =>
      instance('careful', { image, overlays: [overlay], command: ['bash', '-c', careful], ...more })
    await fixture.apply(persistentOverlay(overlay), writer({}))
    await fixture.ready('instance', 'careful')
    await fixture.apply(writer({ state: 'Stopped' }))
    await told('careful', 'Ready', /^True Stopped/)
    await fixture.apply(instance('reader', { image, overlays: [overlay], podTemplate: promptly }))
    await fixture.ready('instance', 'reader')
    expect(await fixture.exec('reader', 'cat', '/result')).toBe('saved')
    await fixture.end('reader')
    await fixture.end('careful')
  })
})

describe('an end by the clock', () => {
  test('activeDeadlineSeconds: ended as failed, and its overlay is free', async () => {
    await fixture.apply(persistentOverlay('timed'))
    await fixture.apply(
      instance('late', { overlays: ['timed'], activeDeadlineSeconds: 3, podTemplate: promptly }),
      instance('next', { overlays: ['timed'], podTemplate: promptly }),
    )
    await told('late', 'Stalled', /^True DeadlineExceeded.*activeDeadlineSeconds: 3.*start-requested/)
    await fixture.ready('instance', 'next')
    await fixture.end('next')
    await requestStart('late', 'one')
    await told('late', 'Running', /^True/)
    await told('late', 'Stalled', /^True DeadlineExceeded/)
    await fixture.end('late')
  })

  test('ttlSecondsAfterFinished: the Instance goes with its pod, the overlay stays', async () => {
    await fixture.apply(
      persistentOverlay('lasting'),
      instance('brief', {
        ...{ overlays: ['lasting'], restartPolicy: 'Never', ttlSecondsAfterFinished: 2, podTemplate: promptly },
        command: ['touch', '/made'],
      }),
    )
    await until('the Instance is gone', () => isGone('instance', 'brief'))
    await until('its pod is gone', () => isGone('pod', 'brief'))
    expect((await fixture.events('Instance', 'brief')).map(({ reason }) => reason)).toContain('Expired')
    expect((await fixture.get('persistentoverlay', 'lasting')).metadata.deletionTimestamp).toBeUndefined()
  })
})
