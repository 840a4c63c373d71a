import { expect, test } from 'vitest'
import type { Instance } from '../../crds/instance.ts'
import { createCache } from '../../kube/cache.ts'
import { condition, genInstance } from '../../test/gen/objects.ts'
import { indexes } from '../triggers.ts'
import { isStarting, manyStart } from './starting.ts'

const withConditions = (...conditions: object[]) => genInstance('dev', { status: { conditions } })

test.each([
  ['nobody has looked at', withConditions(), true],
  ['waits for something', withConditions(condition('Ready', 'False', 'ImagePulling')), true],
  ['runs', withConditions(condition('Ready', 'True', 'Running')), false],
  [
    'cannot',
    withConditions(condition('Ready', 'False', 'PodInvalid'), condition('Stalled', 'True', 'PodInvalid')),
    false,
  ],
  ['is to be stopped', genInstance('dev', { spec: { state: 'Stopped' } }), false],
  ['is being deleted', genInstance('dev', { metadata: { deletionTimestamp: 't' } }), false],
])('one that %s starts: %#', (_, instance, starts) => {
  expect(isStarting(instance)).toBe(starts)
})

const at = (seconds: number): Date => new Date(Date.UTC(2026, 0, 1, 0, 0, seconds))
const begun = { creationTimestamp: '2026-01-01T00:00:00Z' }

test('there are many when more than ten have begun to a short while ago', () => {
  const instances = createCache<Instance>(indexes.instances)
  for (let index = 0; index < 10; index++) instances.put(genInstance(`dev-${index}`, { metadata: begun }))
  expect(manyStart({ instances }, at(5))).toBe(false)
  instances.put(genInstance('one-more', { metadata: begun }))
  expect(manyStart({ instances }, at(5))).toBe(true)
  const ready = { conditions: [condition('Ready', 'True', 'Running')] }
  instances.put(genInstance('one-more', { metadata: { ...begun, resourceVersion: '1000' }, status: ready }))
  expect(manyStart({ instances }, at(5))).toBe(false)
})

test('those that something has kept for long are none of them', () => {
  const instances = createCache<Instance>(indexes.instances)
  for (let index = 0; index < 20; index++) instances.put(genInstance(`stuck-${index}`, { metadata: begun }))
  expect([manyStart({ instances }, at(119)), manyStart({ instances }, at(120))]).toEqual([true, false])
})
