import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import * as z from 'zod'
import { imageReference, testCluster } from './support/cluster.ts'
import { createReplicas, type Replica, type Replicas, scaleController } from './support/controllers.ts'
import { createFixture, type Fixture } from './support/fixture.ts'
import { containerImage, instance, persistentOverlay, promptly } from './support/objects.ts'
import { operatorNamespace } from './support/operator.ts'
import { registrySecret, registrySecretName } from './support/registry.ts'
import { until } from './support/until.ts'

const { cluster, kubectl } = await testCluster()

/** Others take a lease that they have seen standing so long; they look for renewals every two seconds or so. */
const leaseMs = 15_000
const lookMs = 2_500
/** The leader gives up by then. */
const renewMs = 10_000

const leaseSchema = z.object({ spec: z.object({ holderIdentity: z.string(), leaseTransitions: z.number() }) })
const lease = async () => leaseSchema.parse(await kubectl.get(operatorNamespace, 'lease', 'lamina-controller')).spec

describe('two replicas of the controller', () => {
  let fixture: Fixture
  let replicas: Replicas
  let first: Replica
  let second: Replica

  const started = async (name: string): Promise<string | undefined> => {
    await fixture.apply(instance(name, { podTemplate: promptly }))
    await fixture.ready('instance', name)
    return (await kubectl.get(fixture.namespace, 'pod', name)).metadata.uid
  }
  const leaderOf = (candidates: Replica[]): Promise<Replica> =>
    until('one leads', async () => {
      const { holderIdentity } = await lease()
      return candidates.find(({ name }) => name === holderIdentity)
    })

  beforeAll(async () => {
    fixture = await createFixture(kubectl, 'leader')
    await fixture.apply(
      registrySecret(cluster),
      containerImage('debian', imageReference(cluster, 'library/debian:12'), { pullSecrets: [registrySecretName] }),
      persistentOverlay('dev'),
      instance('dev', { overlays: ['dev'], podTemplate: promptly }),
    )
    await fixture.ready('instance', 'dev', 120)
    await scaleController(kubectl, 0)
    replicas = await createReplicas(cluster, kubectl)
    first = await replicas.start('first')
    await leaderOf([first])
    second = await replicas.start('second')
  })
  afterAll(async () => {
    await replicas?.end()
    await scaleController(kubectl, 1)
    await fixture.destroy()
  })

  test('a leader that is told to stop hands over at once', async () => {
    const asked = performance.now()
    first.signal('SIGTERM')
    const { exitCode } = await first.ended
    expect(exitCode).toBe(0)
    await until('the other leads', async () => second.leadsSince())
    const took = (second.leadsSince() ?? 0) - asked
    process.stdout.write(`hand-over after SIGTERM: ${Math.round(took)} ms\n`)
    expect(took).toBeLessThan(lookMs + 2_000)
    await started('after-stop')
  })

  test('a leader that is killed is replaced within the lease and one look', async () => {
    first = await replicas.start('first')
    await sleep(3_000)
    const killed = performance.now()
    second.signal('SIGKILL')
    await until('the other leads', async () => first.leadsSince())
    const took = (first.leadsSince() ?? 0) - killed
    process.stdout.write(`fail-over after SIGKILL: ${Math.round(took)} ms\n`)
    expect(took).toBeLessThan(leaseMs + lookMs + 1_000)
    await started('after-kill')
  })

  test('when nothing changes, the leader renews its lease, the other looks at it, and that is all', async () => {
    second = await replicas.start('second')
    await sleep(20_000)
    const [leads, waits] = [await first.requests(), await second.requests()]
    await sleep(30_000)
    const since = async (replica: Replica, before: Record<string, number>) =>
      Object.fromEntries(
        Object.entries(await replica.requests()).map(([method, count]) => [method, count - (before[method] ?? 0)]),
      )
    const { PATCH: renewals = 0, ...others } = await since(first, leads)
    expect(
      Object.values(others).every((count) => count === 0),
      JSON.stringify(others),
    ).toBe(true)
    expect(renewals).toBeGreaterThan(10)
    expect(renewals).toBeLessThanOrEqual(16)
    const { GET: looks = 0, ...more } = await since(second, waits)
    expect(
      Object.values(more).every((count) => count === 0),
      JSON.stringify(more),
    ).toBe(true)
    expect(looks).toBeLessThanOrEqual(16)
  })

  test('a leader that is paused longer than its lease does no harm when it goes on, and ends', async () => {
    first.signal('SIGSTOP')
    await until('the other leads', async () => second.leadsSince())
    // What the paused one finds in its sockets: work that the other has done.
    const pod = await started('meanwhile')
    await fixture.apply({ ...instance('dev', { overlays: ['dev'], podTemplate: promptly, state: 'Stopped' }) })
    await until(
      'dev has stopped',
      async () => (await kubectl.try(['-n', fixture.namespace, 'get', 'pod', 'dev'])).exitCode === 1,
    )
    await fixture.apply({ ...instance('dev', { overlays: ['dev'], podTemplate: promptly }) })
    await fixture.ready('instance', 'dev')
    // Of a pod the kubelet writes too.
    const state = async () => [
      ...(await kubectl.list(fixture.namespace, 'instances')).map(({ metadata }) => [
        metadata.name,
        metadata.resourceVersion,
      ]),
      ...(await kubectl.list(fixture.namespace, 'pods')).map(({ metadata }) => [
        metadata.uid,
        metadata.deletionTimestamp,
      ]),
    ]
    const before = await state()
    const { leaseTransitions } = await lease()

    const went = performance.now()
    first.signal('SIGCONT')
    const { exitCode, at } = await first.ended
    process.stdout.write(`exit after SIGCONT: ${Math.round(at - went)} ms\n${first.log.slice(-4).join('\n')}\n`)
    expect(exitCode).toBe(1)
    expect(at - went).toBeLessThan(5_000)
    await sleep(2_000)
    expect(await lease()).toMatchObject({ holderIdentity: 'second', leaseTransitions })
    expect((await kubectl.get(fixture.namespace, 'pod', 'meanwhile')).metadata.uid).toBe(pod)
    expect(await state()).toEqual(before)
  })

  test('a leader that is cut off from the API server ends before another leads', async () => {
    first = await replicas.start('first')
    await sleep(3_000)
    const cut = performance.now()
    second.wire.cut()
    const { exitCode, at } = await second.ended
    expect(exitCode).toBe(1)
    expect(at - cut).toBeLessThan(renewMs + 2_000)
    expect(first.leadsSince()).toBeUndefined()
    await until('the other leads', async () => first.leadsSince())
    const leads = first.leadsSince() ?? 0
    process.stdout.write(
      `partition: ended after ${Math.round(at - cut)} ms, the other led after ${Math.round(leads - cut)} ms\n`,
    )
    expect(leads).toBeGreaterThan(at)
    expect(leads - cut).toBeLessThan(leaseMs + lookMs + 1_000)
    await started('after-cut')
  })
})
