import { expect, test } from 'vitest'
import { instanceSchema } from '../../../crds/instance.ts'
import { persistentOverlaySchema } from '../../../crds/persistent-overlay.ts'
import { objectMetadataSchema } from '../../../kube/resource.ts'
import { coresOf } from './cores.ts'
import { usageOf } from './stats.ts'

const instance = instanceSchema.parse({
  metadata: { name: 'dev' },
  spec: { imageRef: { name: 'debian' }, overlays: [{ name: 'tools', access: 'ReadOnly' }, { name: 'data' }] },
})
const usage = { usedBytes: 1, usedInodes: 2, capacityBytes: 3, capacityInodes: 4, observedTime: 'now' }
const overlay = persistentOverlaySchema.parse({ metadata: { name: 'data' }, spec: {}, status: { usage } })

test('CPU and memory are those of all containers of the pod, the overlay is the one that is written', () => {
  const containers = ['main', 'sidecar'].map((name) => ({ name, usage: { cpu: '250m', memory: '1Mi' } }))
  const metrics = [{ metadata: objectMetadataSchema.parse({ name: 'dev' }), containers }]
  expect(usageOf(instance, [overlay], metrics)).toEqual({
    name: 'dev',
    state: 'Pending',
    cpu: 0.5,
    memoryBytes: 2 * 2 ** 20,
    overlay: { name: 'data', ...usage },
  })
})

test('what nobody measures is left out', () => {
  expect(usageOf(instance, [], [])).toEqual({ name: 'dev', state: 'Pending', overlay: { name: 'data' } })
})

test.each([
  ['2', 2],
  ['250m', 0.25],
  ['1500000n', 0.0015],
])('%s of CPU are %d cores', (text, cores) => {
  expect(coresOf(text)).toBeCloseTo(cores, 6)
})
