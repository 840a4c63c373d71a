import { afterAll, beforeAll, expect, test } from 'vitest'
import { containerImage as kind } from '../../crds/container-image.ts'
import { testCluster } from './support/cluster.ts'
import { createFixture, type Fixture } from './support/fixture.ts'
import { declaredRules, verdictsIn } from './support/verdicts.ts'
import { image, rules } from './wrong-manifests/images.ts'
import { digestMessage } from './wrong-manifests/rule.ts'

const { kubectl } = await testCluster()

let fixture: Fixture
const { expectRule, expectDigest } = verdictsIn(kubectl, () => fixture.namespace)
beforeAll(async () => {
  fixture = await createFixture(kubectl, 'crds-images')
})
afterAll(() => fixture.destroy())

test.each(rules)('a ContainerImage: $message', (rule) => expectRule('create', rule))

test(`a ContainerImage: ${digestMessage}`, async () => {
  await fixture.apply({ ...image('resolved'), spec: { source: { volume: { claimName: 'none' } } } })
  await expectDigest('containerimage', 'resolved', (digest) => ({
    resolved: {
      ...{ reference: `x@${digest}`, digest, platform: { os: 'linux', architecture: 'amd64' } },
      ...{ sizeBytes: 0, resolveTime: '2026-01-01T00:00:00Z', config: {} },
    },
  }))
})

test('all rules of ContainerImages are tried here', () => {
  expect(declaredRules(kind)).toEqual(new Set([...rules.map(({ message }) => message), digestMessage]))
})
