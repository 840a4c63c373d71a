import { afterAll, beforeAll, expect, test } from 'vitest'
import { instance as kind } from '../../crds/instance.ts'
import { testCluster } from './support/cluster.ts'
import { createFixture, type Fixture } from './support/fixture.ts'
import { instance } from './support/objects.ts'
import { declaredRules, verdictsIn } from './support/verdicts.ts'
import { rules } from './wrong-manifests/instances.ts'
import { digestMessage } from './wrong-manifests/rule.ts'

const { kubectl } = await testCluster()

let fixture: Fixture
const { expectRule, expectDigest } = verdictsIn(kubectl, () => fixture.namespace)
beforeAll(async () => {
  fixture = await createFixture(kubectl, 'crds-instances')
})
afterAll(() => fixture.destroy())

test.each(rules)('an Instance: $message', (rule) => expectRule('create', rule))

test(`an Instance: ${digestMessage}`, async () => {
  await fixture.apply(instance('granted', { state: 'Stopped' }))
  await expectDigest('instance', 'granted', (digest) => ({ image: { reference: `x@${digest}`, digest } }))
})

test('all rules of Instances are tried here', () => {
  expect(declaredRules(kind)).toEqual(new Set([...rules.map(({ message }) => message), digestMessage]))
})
