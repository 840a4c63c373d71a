import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { testCluster } from './support/cluster.ts'
import { conditionOf } from './support/conditions.ts'
import { createFixture, type Fixture } from './support/fixture.ts'
import { containerImage } from './support/objects.ts'
import { registrySecret, registrySecretName } from './support/registry.ts'
import { until } from './support/until.ts'
import { wrongObjects } from './wrong-manifests/conditions.ts'

const { cluster, kubectl } = await testCluster()

describe('what only the controller finds wrong is told by the condition Ready, with what to do', () => {
  let fixture: Fixture
  beforeAll(async () => {
    fixture = await createFixture(kubectl, 'wrong')
    await fixture.apply(
      registrySecret(cluster),
      containerImage('debian', 'debian:12', { pullSecrets: [registrySecretName] }),
    )
    await fixture.ready('containerimage', 'debian')
  })
  afterAll(() => fixture.destroy())

  test.each(wrongObjects)(
    '$manifest.kind $manifest.metadata.name: $reason',
    async ({ beside, manifest, reason, message }) => {
      await fixture.apply(...(beside ? [beside.manifest] : []), manifest)
      const { kind, metadata } = manifest
      const told = async () => {
        const ready = conditionOf(await fixture.get(kind, metadata.name), 'Ready')
        return { ...ready, message: ready.message.replaceAll(fixture.namespace, 'team') }
      }
      await until(`it says ${reason}`, async () => (await told()).reason === reason)
      expect(await told()).toMatchObject({ status: 'False', reason, message })
    },
  )
})
