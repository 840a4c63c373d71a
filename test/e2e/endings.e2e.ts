import { randomBytes } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { sandboxImage } from '../cluster/components.ts'
import { imageReference, testCluster } from './support/cluster.ts'
import { conditionOf } from './support/conditions.ts'
import { createFixture, type Fixture } from './support/fixture.ts'
import { containerImage, instance, persistentOverlay, promptly } from './support/objects.ts'
import { operatorNamespace } from './support/operator.ts'
import { registrySecret, registrySecretName } from './support/registry.ts'
import { until } from './support/until.ts'

const { cluster, kubectl } = await testCluster()

const furnish = (fixture: Fixture): Promise<void> =>
  fixture.apply(
    registrySecret(cluster),
    containerImage('debian', imageReference(cluster, 'library/debian:12'), { pullSecrets: [registrySecretName] }),
    persistentOverlay('work'),
  )

const told = (fixture: Fixture, name: string, pattern: RegExp) =>
  until(`instance ${name} says ${pattern}`, async () => {
    const { status, reason, message } = conditionOf(await fixture.get('instance', name), 'Ready')
    return pattern.test(`${status} ${reason}: ${message}`)
  })

describe('a pod that others delete', () => {
  let fixture: Fixture
  const priorityClass = `urgent-${randomBytes(3).toString('hex')}`
  beforeAll(async () => {
    fixture = await createFixture(kubectl, 'endings')
    await furnish(fixture)
  })
  afterAll(async () => {
    await kubectl.try(['uncordon', 'localhost'])
    await kubectl.try(['delete', 'priorityclass', priorityClass])
    await fixture.destroy()
  })

  test('drained: it comes again when a node takes it, with its overlay', async () => {
    await fixture.apply(instance('dev', { overlays: ['work'], podTemplate: promptly }))
    await fixture.ready('instance', 'dev')
    await fixture.exec('dev', 'touch', '/kept')
    const selector = `--pod-selector=lamina.dev/instance=dev`
    await kubectl.run(['drain', 'localhost', '--delete-emptydir-data', '--force', '--timeout=50s', selector])
    await told(fixture, 'dev', /^False Unschedulable/)
    await kubectl.run(['uncordon', 'localhost'])
    await fixture.ready('instance', 'dev')
    expect(await fixture.exec('dev', 'ls', '/kept')).toBe('/kept')
    await fixture.end('dev')
  })

  test('preempted: it waits for room, and comes again with its overlay', async () => {
    const free = await kubectl.run(['get', 'node', 'localhost', '-o', 'jsonpath={.status.allocatable.memory}'])
    // Two of them have no room beside each other.
    const requests = { memory: `${Math.floor(Number.parseInt(free, 10) * 0.55)}Ki` }
    await fixture.apply(instance('dev', { overlays: ['work'], resources: { requests }, podTemplate: promptly }))
    await fixture.ready('instance', 'dev')
    await fixture.exec('dev', 'touch', '/kept-again')
    await kubectl.apply({
      ...{ apiVersion: 'scheduling.k8s.io/v1', kind: 'PriorityClass' },
      ...{ metadata: { name: priorityClass }, value: 1_000_000 },
    })
    const container = { name: 'main', image: sandboxImage, imagePullPolicy: 'Never', resources: { requests } }
    await fixture.apply({
      ...{ apiVersion: 'v1', kind: 'Pod', metadata: { name: 'urgent' } },
      spec: { terminationGracePeriodSeconds: 0, priorityClassName: priorityClass, containers: [container] },
    })
    await told(fixture, 'dev', /^False Unschedulable/)
    await until('the urgent pod runs', async () => (await fixture.get('pod', 'urgent')).status?.phase === 'Running')
    await fixture.delete('pod', 'urgent')
    await fixture.ready('instance', 'dev')
    expect(await fixture.exec('dev', 'ls', '/kept-again')).toBe('/kept-again')
    await fixture.end('dev')
  })
})

describe('a namespace that is deleted', () => {
  const nowhere = { spec: { ...promptly.spec, nodeSelector: { nowhere: 'yes' } } }

  /** A namespace with an instance that runs, one that waits for a node, and one that waits for the overlay. */
  const inhabited = async (): Promise<Fixture> => {
    const fixture = await createFixture(kubectl, 'going')
    await furnish(fixture)
    await fixture.apply(instance('dev', { overlays: ['work'], podTemplate: promptly }))
    await fixture.ready('instance', 'dev')
    await fixture.apply(
      instance('astray', { podTemplate: nowhere }),
      instance('waiting', { overlays: ['work'], podTemplate: promptly }),
    )
    await told(fixture, 'astray', /^False Unschedulable/)
    return fixture
  }
  const startDeletion = ({ namespace }: Fixture) => kubectl.run(['delete', 'namespace', namespace, '--wait=false'])
  const isThere = async ({ namespace }: Fixture): Promise<boolean> =>
    (await kubectl.try(['get', 'namespace', namespace])).exitCode === 0
  const operator = (...args: string[]) => kubectl.run(['-n', operatorNamespace, ...args], { timeoutSeconds: 100 })

  test('goes when the controller, that was away, is back', async () => {
    const fixture = await inhabited()
    try {
      await operator('scale', 'deployment/lamina-controller', '--replicas=0')
      await operator('wait', '--for=delete', 'pod', '-l', 'app.kubernetes.io/component=controller', '--timeout=90s')
      await startDeletion(fixture)
      await until('the pod that ran is gone: its agent needs no controller', async () =>
        (await kubectl.try(['-n', fixture.namespace, 'get', 'pod', 'dev'])).stderr.includes('NotFound'),
      )
      expect((await fixture.get('pod', 'astray')).metadata.finalizers).toEqual(['lamina.dev/release'])
    } finally {
      await operator('scale', 'deployment/lamina-controller', '--replicas=1')
      await operator('rollout', 'status', 'deployment/lamina-controller', '--timeout=90s')
    }
    await until('the namespace is gone', async () => !(await isThere(fixture)), { seconds: 90 })
  })

  test('goes when the agent, that was away, is back', async () => {
    const fixture = await inhabited()
    const place = (nodeSelector: object) =>
      operator(
        ...['patch', 'daemonset/lamina-agent', '--type=merge'],
        ...['-p', JSON.stringify({ spec: { template: { spec: { nodeSelector } } } })],
      )
    try {
      await place({ nowhere: 'yes' })
      await operator('wait', '--for=delete', 'pod', '-l', 'app.kubernetes.io/component=agent', '--timeout=90s')
      await startDeletion(fixture)
      await sleep(5_000)
      expect((await fixture.get('pod', 'dev')).metadata.finalizers).toEqual(['lamina.dev/release'])
    } finally {
      await place({ nowhere: null })
      await operator('rollout', 'status', 'daemonset/lamina-agent', '--timeout=90s')
    }
    await until('the namespace is gone', async () => !(await isThere(fixture)), { seconds: 90 })
  })
})
