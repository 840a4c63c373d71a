import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import * as z from 'zod'
import { imageReference, testCluster } from './support/cluster.ts'
import { conditionOf } from './support/conditions.ts'
import { createFixture, type Fixture } from './support/fixture.ts'
import { containerImage, instance, persistentOverlay, promptly } from './support/objects.ts'
import { registrySecret, registrySecretName } from './support/registry.ts'
import { until } from './support/until.ts'

const { cluster, kubectl } = await testCluster()

const quota = (hard: Record<string, string>) => ({
  apiVersion: 'v1',
  kind: 'ResourceQuota',
  metadata: { name: 'team' },
  spec: { hard },
})
const limits = {
  apiVersion: 'v1',
  kind: 'LimitRange',
  metadata: { name: 'team' },
  spec: { limits: [{ type: 'Container', default: { memory: '64Mi' }, defaultRequest: { cpu: '10m' } }] },
}
const hard = {
  'count/instances.lamina.dev': '2',
  'count/persistentoverlays.lamina.dev': '2',
  'requests.storage': '200Mi',
  'requests.cpu': '500m',
  pods: '2',
}
const counted = z.object({ hard: z.record(z.string(), z.string()), used: z.record(z.string(), z.string()) })

let fixture: Fixture
const used = async () => counted.parse((await fixture.get('resourcequota', 'team')).status)
const asked = (cpu: string) => ({ resources: { requests: { cpu } }, podTemplate: promptly })

/** The quota controller has taken up the limits, and counts what is there. */
const inForce = (limited: Record<string, string>) =>
  until(
    'the quota is in force',
    async () => {
      const { hard, used: counts } = await used()
      return Object.entries(limited).every(([what, limit]) => hard[what] === limit && counts[what] !== undefined)
    },
    { seconds: 90 },
  )

beforeAll(async () => {
  fixture = await createFixture(kubectl, 'quota')
  await fixture.apply(
    registrySecret(cluster),
    limits,
    quota(hard),
    containerImage('debian', imageReference(cluster, 'library/debian:12'), { pullSecrets: [registrySecretName] }),
  )
  await inForce(hard)
})
afterAll(() => fixture.destroy())

/** Ready is False with the reason, and says which quota and how much of it is left. */
const toldThat = (kind: string, name: string, reason: string, words: RegExp) =>
  until(
    `${kind}/${name} says ${reason}`,
    async () => {
      const { reason: seen, message } = conditionOf(await fixture.get(kind, name), 'Ready')
      return seen === reason && words.test(message)
    },
    { describe: async () => JSON.stringify((await fixture.get(kind, name)).status) },
  )

describe('a quota on the kinds', () => {
  test('refuses whoever makes one too many', async () => {
    await fixture.apply(
      persistentOverlay('one'),
      persistentOverlay('two'),
      instance('one', { state: 'Stopped' }),
      instance('two', { state: 'Stopped' }),
    )
    await until('they are counted', async () => {
      const { used: counts } = await used()
      return counts['count/instances.lamina.dev'] === '2' && counts['count/persistentoverlays.lamina.dev'] === '2'
    })
    const words = (kind: string) => `exceeded quota: team, requested: count/${kind}=1, used: count/${kind}=2, limited:`
    await expect(fixture.apply(persistentOverlay('three'))).rejects.toThrow(words('persistentoverlays.lamina.dev'))
    await expect(fixture.apply(instance('three', { state: 'Stopped' }))).rejects.toThrow(words('instances.lamina.dev'))
  })
})

describe('a quota on storage', () => {
  test('holds up the claim of an overlay that is too large, and the overlay says so', async () => {
    await fixture.delete('persistentoverlay', 'two')
    await kubectl.run(['-n', fixture.namespace, 'delete', 'pvc', 'lamina-two'])
    await fixture.apply(persistentOverlay('two', { size: '1Gi' }))
    await toldThat('persistentoverlay', 'two', 'ClaimRefused', /exceeded quota: team, requested: requests.storage=/)
    await fixture.apply(instance('two', { ...asked('10m'), overlays: ['two'] }))
    await toldThat('instance', 'two', 'ClaimRefused', /overlay "two": .*exceeded quota: team/)
  })

  test('lets it pass once there is room: nobody has to touch the overlay', async () => {
    await fixture.apply(quota({ ...hard, 'requests.storage': '2Gi' }))
    await fixture.ready('persistentoverlay', 'two', 90)
    await fixture.ready('instance', 'two', 120)
  })
})

describe('a quota on pods and what they ask for', () => {
  test('holds up an instance that asks for more, and the instance says so', async () => {
    await fixture.apply(instance('one', { ...asked('600m'), overlays: ['one'] }))
    await toldThat('instance', 'one', 'PodRefused', /exceeded quota: team, requested: requests.cpu=6\d0m/)
    expect(conditionOf(await fixture.get('instance', 'one'), 'Reconciling').status).toBe('True')
  })

  test('holds no overlay meanwhile: another instance may have it', async () => {
    await until('it is free', async () => {
      const { attachments = [] } = z
        .object({ attachments: z.array(z.unknown()).optional() })
        .parse((await fixture.get('persistentoverlay', 'one')).status)
      return attachments.length === 0
    })
  })

  test('lets it pass once it asks for less', async () => {
    await fixture.apply(instance('one', { ...asked('100m'), overlays: ['one'] }))
    await fixture.ready('instance', 'one', 120)
  })

  test('counts no stopped instance', async () => {
    await fixture.apply(instance('one', { ...asked('100m'), overlays: ['one'], state: 'Stopped' }))
    await until('only the other pod is counted', async () => (await used()).used.pods === '1')
  })
})

describe('a quota on Services', () => {
  const limited = (services: string) => ({ ...hard, 'requests.storage': '2Gi', services })

  test('holds up the Service alone: its instance runs, and says so', async () => {
    await fixture.apply(quota(limited('0')))
    await inForce({ services: '0' })
    const web = { ports: [{ containerPort: 8080 }], service: {} }
    await fixture.apply(instance('one', { ...asked('100m'), overlays: ['one'], ...web }))
    const words = /exceeded quota: team, requested: services=1, used: services=0, limited: services=0/
    await toldThat('instance', 'one', 'ServiceRefused', words)
    const one = await fixture.get('instance', 'one')
    expect(conditionOf(one, 'Running').status).toBe('True')
    expect(conditionOf(one, 'ServiceReady')).toMatchObject({ status: 'False', reason: 'ServiceRefused' })
    expect(conditionOf(one, 'Reconciling').status).toBe('True')
  })

  test('lets it pass once there is room: nobody has to touch the instance', async () => {
    await fixture.apply(quota(limited('1')))
    await fixture.ready('instance', 'one', 90)
    expect(conditionOf(await fixture.get('instance', 'one'), 'ServiceReady').status).toBe('True')
    await until('it is counted', async () => (await used()).used.services === '1')
  })
})
