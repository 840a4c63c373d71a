import { afterAll, beforeAll, expect, test } from 'vitest'
import { persistentOverlay as kind } from '../../crds/persistent-overlay.ts'
import { testCluster } from './support/cluster.ts'
import { createFixture, type Fixture } from './support/fixture.ts'
import { persistentOverlay } from './support/objects.ts'
import { expectAllowed } from './support/requests.ts'
import { declaredRules, expectRefused, verdictsIn } from './support/verdicts.ts'
import { rules, updates } from './wrong-manifests/overlays.ts'
import { digestMessage } from './wrong-manifests/rule.ts'

const { kubectl } = await testCluster()

let fixture: Fixture
const { expectRule, expectDigest, judgeStatus } = verdictsIn(kubectl, () => fixture.namespace)
beforeAll(async () => {
  fixture = await createFixture(kubectl, 'crds-overlays')
})
afterAll(() => fixture.destroy())

const attachmentsMessage = 'one writer, or readers: never both'

test.each(rules)('a PersistentOverlay: $message', (rule) => expectRule('create', rule))

test.each(updates)('a change of a PersistentOverlay: $message', async (rule) => {
  await fixture.apply(rule.before)
  await expectRule('replace', rule)
})

test(`a PersistentOverlay: ${attachmentsMessage}`, async () => {
  await fixture.apply(persistentOverlay('held'))
  const attached = (...access: ('ReadWrite' | 'ReadOnly')[]) =>
    judgeStatus('persistentoverlay', 'held', {
      attachments: access.map((one, index) => ({
        instanceUID: String(index),
        instanceName: `i${index}`,
        access: one,
        attachTime: '2026-01-01T00:00:00Z',
      })),
    })
  for (const allowed of [attached(), attached('ReadWrite'), attached('ReadOnly', 'ReadOnly')]) {
    await expectAllowed(allowed)
  }
  await expectRefused(attached('ReadWrite', 'ReadOnly'), attachmentsMessage)
  await expectRefused(attached('ReadWrite', 'ReadWrite'), attachmentsMessage)
})

test(`a PersistentOverlay: ${digestMessage}`, async () => {
  await fixture.apply(persistentOverlay('based'))
  await expectDigest('persistentoverlay', 'based', (digest) => ({
    base: { reference: `x@${digest}`, digest, platform: { os: 'linux', architecture: 'amd64' }, config: {} },
  }))
})

test('all rules of PersistentOverlays are tried here', () => {
  const tried = [...rules, ...updates].map(({ message }) => message)
  expect(declaredRules(kind)).toEqual(new Set([...tried, attachmentsMessage, digestMessage]))
})
