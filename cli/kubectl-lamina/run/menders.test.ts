import { expect, test } from 'vitest'
import { nodeReasons } from '../../../kube/node-reasons.ts'
import { adviceFor } from '../doctor/advice.ts'
import { menderOf } from './menders.ts'

test('of each reason of the nodes it is known who mends it; of what is hopeless nothing does by itself', () => {
  const unknown = Object.keys(nodeReasons).filter((reason) => menderOf(reason) === undefined)
  expect(unknown).toEqual([])
  const awaited = Object.entries(nodeReasons).filter(
    ([reason, retry]) => retry === 'hopeless' && menderOf(reason) === 'itself',
  )
  expect(awaited).toEqual([])
})

test('whose turn it is to mend something is told what to do', () => {
  const subject = { name: 'dev', namespace: 'team' }
  const reasons = [...Object.keys(nodeReasons), 'PodRefused', 'OverlayNotFound', 'Starting', 'VolumeSourceMissing']
  const untold = reasons.filter(
    (reason) => menderOf(reason) !== 'itself' && adviceFor(reason, subject).startsWith('nothing'),
  )
  expect(untold).toEqual([])
})
