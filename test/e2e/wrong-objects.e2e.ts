import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { ownArchitecture } from '../../runtime-shim/image/platform.ts'
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

  /** Without what is this cluster's own. */
  const asAnywhere = (message: string): string =>
    message
      .replaceAll(fixture.namespace, 'team')
      .replaceAll(cluster.registry.host, 'docker.io')
      .replaceAll(`linux/${ownArchitecture()}`, 'linux/amd64')
      .replaceAll(/sha256:[a-f0-9]{64}/g, 'sha256:…')

  test.each(wrongObjects)(
    '$manifest.kind $manifest.metadata.name: $reason',
    async ({ beside, manifest, reason, message }) => {
      await fixture.apply(...(beside ? [beside.manifest] : []), manifest)
      const { kind, metadata } = manifest
      const ready = await until(`it says ${reason}`, async () => {
        const condition = conditionOf(await fixture.get(kind, metadata.name), 'Ready')
        return condition.reason === reason && condition
      })
      expect(ready.status).toBe('False')
      expect(asAnywhere(ready.message)).toBe(message)
    },
  )
})
