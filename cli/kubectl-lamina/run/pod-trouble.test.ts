import { expect, test } from 'vitest'
import { objectMetadataSchema } from '../../../kube/resource.ts'
import type { Event } from '../../../kube/resources.ts'
import { podTroubleIn } from './pod-trouble.ts'

const event = (type: string, reason: string, message: string, uid = 'mine'): Event => ({
  metadata: objectMetadataSchema.parse({ name: 'e' }),
  involvedObject: { kind: 'Pod', name: 'dev', uid },
  type,
  reason,
  message,
})

const missing = event('Warning', 'FailedMount', 'MountVolume.SetUp failed for volume "keys" : secret "nope" not found')

test('a Secret or ConfigMap that a volume needs is told apart from a volume that is not there yet', () => {
  expect(podTroubleIn([missing], 'mine')?.reason).toBe('VolumeSourceMissing')
  const key = event('Warning', 'FailedMount', 'references non-existent config key: tool.conf')
  expect(podTroubleIn([key], 'mine')?.reason).toBe('VolumeSourceMissing')
  const late = event('Warning', 'FailedMount', 'timed out waiting for the condition')
  expect(podTroubleIn([late], 'mine')?.reason).toBe('FailedMount')
})

test('what is over, and what was told of an earlier pod, is none', () => {
  expect(podTroubleIn([missing, event('Normal', 'Pulling', 'pulling')], 'mine')).toBeUndefined()
  expect(podTroubleIn([missing], 'another')).toBeUndefined()
  expect(podTroubleIn([], undefined)).toBeUndefined()
})
