import { expect, test } from 'vitest'
import { annotations } from '../../kube/names.ts'
import { genClaim, genOverlay, genPod } from '../../test/gen/objects.ts'
import { growthToAsk } from './ask-growth.ts'

const usage = {
  ...{ usedBytes: 0, capacityBytes: 2 ** 29, usedInodes: 0, capacityInodes: 1000 },
  observedTime: '2026-01-01T00:00:00Z',
}
const overlay = (size: string) => genOverlay('work', { spec: { size }, status: { usage } })
const bound = { kind: 'bound', claim: genClaim('lamina-work') } as const
const pod = (size?: string) =>
  genPod('dev', { metadata: { annotations: size === undefined ? {} : { [annotations.growTo]: size } } })

test('the node of a writer is asked for a size that is new', () => {
  expect(growthToAsk(overlay('1Gi'), bound, pod())).toBe('1Gi')
  expect(growthToAsk(overlay('2Gi'), bound, pod('1Gi'))).toBe('2Gi')
})

test('and not again, nor for the size that there is', () => {
  expect(growthToAsk(overlay('1Gi'), bound, pod('1Gi'))).toBeUndefined()
  expect(growthToAsk(overlay('512Mi'), bound, pod())).toBeUndefined()
})
