import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type SecondNode, startSecondNode } from '../cluster/two-nodes.ts'
import { imageReference, testCluster } from './support/cluster.ts'
import { conditionOf, isReady } from './support/conditions.ts'
import { createFixture, type Fixture } from './support/fixture.ts'
import { containerImage, instance, type OverlayUse, persistentOverlay } from './support/objects.ts'
import { registrySecret, registrySecretName } from './support/registry.ts'
import { until } from './support/until.ts'
import { imageLoops } from './support/volumes.ts'

const { cluster, kubectl } = await testCluster()
const first = cluster.layout.node.name
const second = cluster.layout.secondNode.name

const outOfService = 'node.kubernetes.io/out-of-service=nodeshutdown:NoExecute'

describe('two nodes', () => {
  let fixture: Fixture
  let node: SecondNode
  const start = async (): Promise<void> => {
    node = await startSecondNode(cluster, () => {})
    await until('the handler is installed on the second node', async () => {
      const { metadata } = await kubectl.get('', 'node', second)
      return metadata.labels?.['lamina.dev/ready'] === 'true'
    })
  }
  beforeAll(async () => {
    await start()
    fixture = await createFixture(kubectl, 'nodes')
    const shared = { storage: { accessMode: 'ReadWriteMany', storageClassName: 'loop-immediate' } }
    const once = { storage: { storageClassName: 'loop-immediate' } }
    await fixture.apply(
      registrySecret(cluster),
      containerImage('debian', imageReference(cluster, 'library/debian:12'), { pullSecrets: [registrySecretName] }),
      ...['shared', 'lost'].map((name) => persistentOverlay(name, shared)),
      ...['rebooted', 'fenced'].map((name) => persistentOverlay(name, once)),
    )
  })
  afterAll(async () => {
    await fixture.destroy()
    await node.vanish()
    await kubectl.run(['delete', 'node', second, '--ignore-not-found'])
  })

  /** On that node, ending at once. */
  const on = (nodeName: string, name: string, overlays: OverlayUse[]) =>
    instance(name, {
      overlays,
      podTemplate: {
        spec: { terminationGracePeriodSeconds: 1, nodeSelector: { 'kubernetes.io/hostname': nodeName } },
      },
    })
  const stateOf = async (name: string) => conditionOf(await fixture.get('instance', name), 'Ready')
  const podOf = (name: string) => fixture.get('pod', name)
  /** Long enough for a wrong start to show, which takes a second. */
  const staysWaiting = async (name: string): Promise<void> => {
    for (let seen = 0; seen < 10; seen++) {
      expect(isReady(await fixture.get('instance', name))).toBe(false)
      await new Promise((resolve) => setTimeout(resolve, 300))
    }
  }

  test('a writer on one keeps the other out, which says who has it, where and since when', async () => {
    await fixture.apply(on(first, 'here', ['shared']))
    await fixture.ready('instance', 'here', 90)
    await fixture.exec('here', 'sh', '-c', 'echo from-here > /text')
    await fixture.apply(on(second, 'there', ['shared']))
    const message = await until('it waits', async () => {
      const condition = conditionOf(await fixture.get('instance', 'there'), 'OverlaysReady')
      return condition.status === 'False' && condition.message
    })
    expect(message).toContain('here')
    expect(message).toContain(first)
    expect(message).toMatch(/since \d{4}-\d\d-\d\dT/)
    await fixture.end('here')
    await fixture.ready('instance', 'there', 90)
    expect((await podOf('there')).spec?.nodeName).toBe(second)
    expect(await fixture.exec('there', 'cat', '/text')).toBe('from-here')
    await fixture.end('there')
  })

  test('readers run on both', async () => {
    const reading: OverlayUse[] = [{ name: 'shared', access: 'ReadOnly' }]
    await fixture.apply(on(first, 'reads-here', reading), on(second, 'reads-there', reading))
    for (const name of ['reads-here', 'reads-there']) {
      await fixture.ready('instance', name, 90)
      expect(await fixture.exec(name, 'cat', '/text')).toBe('from-here')
    }
    await fixture.end('reads-here')
    await fixture.end('reads-there')
  })

  test('a node that loses power and comes back brings its instance back, in the same pod, with its data', async () => {
    await fixture.apply(on(second, 'rebooted', ['rebooted']))
    await fixture.ready('instance', 'rebooted', 90)
    await fixture.exec('rebooted', 'sh', '-c', 'echo before > /text; sync')
    const { uid } = (await podOf('rebooted')).metadata
    await node.vanish()
    await start()
    await until('it answers again', async () => (await fixture.tryExec('rebooted', 'true')).exitCode === 0, {
      seconds: 120,
    })
    expect(await fixture.exec('rebooted', 'cat', '/text')).toBe('before')
    expect((await podOf('rebooted')).metadata.uid).toBe(uid)
    await fixture.end('rebooted')
    expect(await imageLoops({ kubectl, fixture })).toEqual([])
  })

  test('a node that vanished frees nothing until it is said to be out of service; then the overlay moves, whole', async () => {
    await fixture.apply(on(second, 'lost', ['lost']))
    await fixture.ready('instance', 'lost', 90)
    await fixture.exec('lost', 'sh', '-c', 'echo saved > /text; sync')
    await node.vanish()
    await kubectl.run(['-n', fixture.namespace, 'delete', 'instance', 'lost', '--wait=false'])
    await kubectl.try(['-n', fixture.namespace, 'delete', 'pod', 'lost', '--force', '--wait=false'])
    await fixture.apply(on(first, 'heir', ['lost']))
    await staysWaiting('heir')
    expect((await stateOf('heir')).message).toContain('lost')

    await kubectl.run(['taint', 'node', second, outOfService])
    await fixture.ready('instance', 'heir', 90)
    expect(await fixture.exec('heir', 'cat', '/text')).toBe('saved')
    await fixture.end('heir')
    await kubectl.run(['taint', 'node', second, `${outOfService}-`])
    await start()
  })

  // The volumes of this cluster are directories that both nodes have, with nothing attached.
  test('a node that is deleted frees nothing that others reach without an attach, until a person vouches for it', async () => {
    await fixture.apply(on(second, 'fenced', ['fenced']))
    await fixture.ready('instance', 'fenced', 90)
    await fixture.exec('fenced', 'sh', '-c', 'echo saved > /text; sync')
    await node.vanish()
    await kubectl.run(['delete', 'node', second])
    await kubectl.run(['-n', fixture.namespace, 'delete', 'instance', 'fenced', '--wait=false'])
    await fixture.apply(on(first, 'next', ['fenced']))
    await staysWaiting('next')
    const vouched = JSON.stringify({ metadata: { finalizers: null } })
    await kubectl.run(['-n', fixture.namespace, 'patch', 'pod', 'fenced', '--type=merge', '-p', vouched])
    await fixture.ready('instance', 'next', 120)
    expect(await fixture.exec('next', 'cat', '/text')).toBe('saved')
    await fixture.end('next')
  })
})
