import { afterAll, beforeAll, expect, test } from 'vitest'
import { instance as kind } from '../../crds/instance.ts'
import { testCluster } from './support/cluster.ts'
import { createFixture, type Fixture } from './support/fixture.ts'
import { instance } from './support/objects.ts'
import { declaredRules, labelMessage, type Rule, verdictsIn } from './support/verdicts.ts'

const { kubectl } = await testCluster()

let fixture: Fixture
const { expectRule } = verdictsIn(kubectl, () => fixture.namespace)
beforeAll(async () => {
  fixture = await createFixture(kubectl, 'crds-instances')
})
afterAll(() => fixture.destroy())

const running = (spec: object) => instance('dev', { ...spec })
const templated = (spec: object) => running({ podTemplate: { spec } })
const reader = { name: 'base', access: 'ReadOnly' as const }

const rules: Rule[] = [
  {
    message: labelMessage(63),
    allowed: [running({})],
    refused: [instance('dotted.name', {}), instance('a'.repeat(64), {})],
  },
  {
    message: 'at most one overlay can be ReadWrite: set access: ReadOnly on the others',
    allowed: [running({ overlays: ['mine', reader] }), running({ overlays: [reader, { ...reader, name: 'more' }] })],
    refused: [running({ overlays: ['mine', 'yours'] })],
  },
  {
    message: 'base: Follow is for the overlay that is written: leave it out with access: ReadOnly',
    allowed: [
      running({ overlays: [{ name: 'mine', access: 'ReadWrite', base: 'Follow' }, reader] }),
      running({ overlays: [{ ...reader, base: 'Keep' }] }),
    ],
    refused: [running({ overlays: [{ ...reader, base: 'Follow' }] })],
  },
  {
    message: 'sizeLimit must be a quantity above 0, such as 2Gi',
    allowed: [running({ ephemeral: { sizeLimit: '2Gi' } }), running({ ephemeral: { medium: 'Memory' } })],
    refused: ['two', '0', '-5Mi'].map((sizeLimit) => running({ ephemeral: { sizeLimit } })),
  },
  {
    message: 'ephemeral is for an instance without a ReadWrite overlay: leave one of the two out',
    allowed: [running({ ephemeral: {} }), running({ ephemeral: {}, overlays: [reader] })],
    refused: [running({ ephemeral: {}, overlays: ['mine'] })],
  },
  {
    message: 'entrypoint says what runs without command and args: leave it out, or those',
    allowed: [running({ entrypoint: 'Image' }), running({ command: ['true'], args: ['x'] })],
    refused: [running({ entrypoint: 'Image', command: ['true'] }), running({ entrypoint: 'Idle', args: ['x'] })],
  },
  {
    message: 'runtimeClassName is set by Lamina: leave it out',
    allowed: [templated({ priorityClassName: 'high' })],
    refused: [templated({ runtimeClassName: 'lamina' })],
  },
  {
    message: 'nodeName would pass the scheduler by: use nodeSelector or affinity',
    allowed: [templated({ nodeSelector: { disk: 'fast' } })],
    refused: [templated({ nodeName: 'localhost' })],
  },
  {
    message: 'hostUsers: false is not possible: an overlay would keep shifted owners',
    allowed: [templated({ hostUsers: true }), running({ podTemplate: { metadata: { labels: { a: 'b' } } } })],
    refused: [templated({ hostUsers: false })],
  },
  {
    message: 'set spec.restartPolicy of the Instance, not of its podTemplate',
    allowed: [running({ restartPolicy: 'Never' })],
    refused: [templated({ restartPolicy: 'Never' })],
  },
]

test.each(rules)('an Instance: $message', (rule) => expectRule('create', rule))

test('all rules of Instances are tried here', () => {
  expect(declaredRules(kind)).toEqual(new Set(rules.map(({ message }) => message)))
})
