import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import * as z from 'zod'
import { imageReference, testCluster } from './support/cluster.ts'
import { conditionOf } from './support/conditions.ts'
import { createFixture, type Fixture } from './support/fixture.ts'
import { containerImage, inNamespace, instance, persistentOverlay, promptly } from './support/objects.ts'
import { registrySecret, registrySecretName } from './support/registry.ts'
import { until } from './support/until.ts'

const { cluster, kubectl } = await testCluster()

const attachmentsSchema = z.object({ attachments: z.array(z.object({ instanceName: z.string() })).default([]) })

describe('who holds an overlay', () => {
  let fixture: Fixture
  beforeAll(async () => {
    fixture = await createFixture(kubectl, 'protocol')
    await fixture.apply(
      registrySecret(cluster),
      containerImage('debian', imageReference(cluster, 'library/debian:12'), { pullSecrets: [registrySecretName] }),
      ...['orphaned', 'refused', 'edited', 'stranger', 'lost', 'a', 'b'].map((name) => persistentOverlay(name)),
    )
  })
  afterAll(() => fixture.destroy())

  const holdersOf = async (overlay: string): Promise<string[]> =>
    attachmentsSchema
      .parse((await fixture.get('persistentoverlay', overlay)).status)
      .attachments.map(({ instanceName }) => instanceName)
  const told = (name: string, type: string, pattern: RegExp) =>
    until(`instance ${name} says ${pattern}`, async () => {
      const { reason, message } = conditionOf(await fixture.get('instance', name), type)
      return pattern.test(`${reason}: ${message}`)
    })
  const simple = (name: string, overlay: string, more: object = {}) =>
    instance(name, { overlays: [overlay], podTemplate: promptly, ...more })

  test('an instance deleted with --cascade=orphan: its pod keeps the overlay while it runs', async () => {
    await fixture.apply(simple('orphan', 'orphaned'))
    await fixture.ready('instance', 'orphan')
    await fixture.delete('instance', 'orphan', '--cascade=orphan')
    await fixture.apply(simple('heir', 'orphaned'))
    await told('heir', 'OverlaysReady', /OverlayInUse.*orphan/)
    await sleep(3_000)
    expect(await holdersOf('orphaned')).toEqual(['orphan'])
    expect(await fixture.exec('orphan', 'cat', '/etc/debian_version')).toMatch(/^12/)
    await kubectl.run(['-n', fixture.namespace, 'delete', 'pod', 'orphan'])
    await fixture.ready('instance', 'heir')
    await fixture.end('heir')
  })

  test('a quota that refuses the pod is told in its own words, tried ever less often, and keeps no overlay', async () => {
    await fixture.apply({
      apiVersion: 'v1',
      kind: 'ResourceQuota',
      metadata: { name: 'none' },
      spec: { hard: { pods: '0' } },
    })
    await fixture.apply(simple('refused', 'refused'))
    await told('refused', 'Ready', /PodRefused: .*exceeded quota/)
    const before = await requestsOf('POST')
    await sleep(6_000)
    expect((await requestsOf('POST')) - before).toBeLessThan(10)
    expect(await holdersOf('refused')).toEqual([])
    await fixture.delete('resourcequota', 'none')
    await fixture.ready('instance', 'refused')
    await fixture.end('refused')
  })

  /** Requests that the controller has made, by its own metrics. */
  const requestsOf = async (method: string): Promise<number> => {
    const metrics = await (await fetch(`http://127.0.0.1:${cluster.layout.ports.lamina}/metrics`)).text()
    const lines = metrics.matchAll(new RegExp(`^rest_client_requests_total\\{.*method="${method}".*\\} (\\d+)$`, 'gm'))
    return [...lines].reduce((sum, [, count]) => sum + Number(count), 0)
  }

  test('an edit that cannot be leaves the pod that runs alone, and so does its correction', async () => {
    await fixture.apply(simple('edited', 'edited'))
    await fixture.ready('instance', 'edited')
    const { uid } = (await fixture.get('pod', 'edited')).metadata
    await fixture.apply(
      simple('edited', 'edited', {
        podTemplate: { spec: { ...promptly.spec, containers: [{ name: 'main', image: 'x' }] } },
      }),
    )
    await told('edited', 'Stalled', /InvalidSpec: .*imageRef/)
    expect(conditionOf(await fixture.get('instance', 'edited'), 'Running').status).toBe('True')
    await fixture.apply(simple('edited', 'edited'))
    await fixture.ready('instance', 'edited')
    expect((await fixture.get('pod', 'edited')).metadata.uid).toBe(uid)
    await fixture.end('edited')
  })

  test("a pod of another's that has the name is told and left alone, and blocks no overlay", async () => {
    const image = imageReference(cluster, 'library/debian:12')
    const pod = {
      apiVersion: 'v1',
      kind: 'Pod',
      metadata: { name: 'stranger' },
      spec: {
        terminationGracePeriodSeconds: 0,
        imagePullSecrets: [{ name: registrySecretName }],
        containers: [{ name: 'main', image, command: ['sleep', 'infinity'] }],
      },
    }
    await kubectl.apply(inNamespace(fixture.namespace, pod))
    await fixture.apply(simple('stranger', 'stranger'))
    await told('stranger', 'Stalled', /PodNameTaken/)
    expect(await holdersOf('stranger')).toEqual([])
    await kubectl.run(['-n', fixture.namespace, 'delete', 'pod', 'stranger'])
    await fixture.ready('instance', 'stranger')
    await fixture.end('stranger')
  })

  test('a pod that no node takes goes with its instance, and frees the overlay', async () => {
    const nowhere = { spec: { ...promptly.spec, nodeSelector: { nowhere: 'yes' } } }
    await fixture.apply(simple('lost', 'lost', { podTemplate: nowhere }))
    await told('lost', 'Ready', /Unschedulable/)
    expect(await holdersOf('lost')).toEqual(['lost'])
    await fixture.end('lost')
    await until('the overlay is free', async () => (await holdersOf('lost')).length === 0)
  })

  test('an edit of one that runs never makes two wait for each other', async () => {
    const reads = (name: string) => ({ name, access: 'ReadOnly' as const })
    await fixture.apply(instance('x', { overlays: ['b'], podTemplate: promptly }))
    await fixture.ready('instance', 'x')
    await fixture.apply(instance('h', { overlays: ['a', reads('b')], podTemplate: promptly }))
    await told('h', 'OverlaysReady', /OverlayInUse/)
    await fixture.apply(instance('x', { overlays: ['b', reads('a')], podTemplate: promptly }))
    await kubectl.run(['-n', fixture.namespace, 'delete', 'pod', 'x'])
    await fixture.ready('instance', 'h')
    await fixture.end('h')
    await fixture.ready('instance', 'x')
    await fixture.end('x')
  })
})
