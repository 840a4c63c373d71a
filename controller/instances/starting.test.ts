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

test('there are many when more than ten do', () => {
  const instances = createCache<Instance>(indexes.instances)
  for (let index = 0; index < 10; index++) instances.put(genInstance(`dev-${index}`))
  expect(manyStart({ instances })).toBe(false)
  instances.put(genInstance('one-more'))
  expect(manyStart({ instances })).toBe(true)
  const ready = { conditions: [condition('Ready', 'True', 'Running')] }
  instances.put(genInstance('one-more', { metadata: { resourceVersion: '1000' }, status: ready }))
  expect(manyStart({ instances })).toBe(false)
})
