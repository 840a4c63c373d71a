import { describe, expect, test } from 'vitest'
import { imageReference, testCluster } from './support/cluster.ts'
import { createFixture } from './support/fixture.ts'
import { filesOnNode, loopsOf } from './support/node.ts'
import { containerImage, instance, persistentOverlay } from './support/objects.ts'
import { registrySecret, registrySecretName } from './support/registry.ts'
import { until } from './support/until.ts'

const { cluster, kubectl } = await testCluster()

const scaleController = (replicas: number) =>
  kubectl.run([
    '-n',
    'lamina-system',
    'scale',
    'deployment',
    '-l',
    'app.kubernetes.io/component=controller',
    `--replicas=${replicas}`,
  ])

describe('a namespace deleted with everything in it', () => {
  const populated = async () => {
    const fixture = await createFixture(kubectl, 'gone')
    await fixture.apply(
      registrySecret(cluster),
      containerImage('debian', imageReference(cluster, 'library/debian:12'), { pullSecrets: [registrySecretName] }),
      persistentOverlay('kept'),
      persistentOverlay('given-up', { reclaimPolicy: 'Delete' }),
      instance('one', { overlays: ['kept'] }),
      instance('two', { overlays: ['given-up'] }),
      instance('three', {}),
    )
    for (const name of ['one', 'two', 'three']) await fixture.ready('instance', name, 120)
    return fixture
  }

  test('with the controller up', async () => {
    const fixture = await populated()
    await fixture.destroy()
  })

  test('with the controller down', async () => {
    const fixture = await populated()
    await scaleController(0)
    try {
      await fixture.destroy()
    } finally {
      await scaleController(1)
    }
  })

  test('leaves no loop device, ticket, root, record or finalizer', async () => {
    await until('all is quiet', async () => (await filesOnNode(cluster, '/run/lamina/pods')).length === 0)
    expect(
      (await loopsOf(`${cluster.layout.stateDir}/volumes/`)).filter(({ file }) => file.endsWith('overlay.img')),
    ).toEqual([])
    expect(await filesOnNode(cluster, '/run/lamina/containers')).toEqual([])
    expect(await filesOnNode(cluster, '/run/lamina/roots')).toEqual([])
    const pods = await kubectl.run(['get', 'pods', '-A', '-o', 'jsonpath={range .items[*]}{.metadata.finalizers}{end}'])
    expect(pods).not.toContain('lamina.dev/release')
  })
})
