import { expect, test } from 'vitest'
import { condition, genOverlay } from '../../../test/gen/objects.ts'
import { resizingOf } from './overlay-resize.ts'

const attachTime = '2026-01-01T00:00:00Z'
const attachments = [
  { instanceName: 'reader', instanceUID: 'a', access: 'ReadOnly', attachTime },
  { instanceName: 'work', instanceUID: 'b', access: 'ReadWrite', attachTime },
]

const told = (status: 'True' | 'False', reason: string, ready: 'True' | 'False' = 'True') => {
  const conditions = [
    { ...condition('Ready', ready, 'ClaimRefused'), message: 'the class does not grow' },
    { ...condition('Resizing', status, reason), message: reason === 'AsSpecified' ? '' : 'why' },
  ]
  return resizingOf(genOverlay('data', { status: { observedGeneration: 2, conditions, attachments } }), 2)
}

test.each([
  ['the volume grows', told('True', 'VolumeGrowing'), { kind: 'grows', message: 'why' }],
  ['its node grows it', told('True', 'FileSystemGrowing'), { kind: 'grows', message: 'why' }],
  ['it has grown', told('False', 'AsSpecified'), { kind: 'settled', message: 'done' }],
  ['nobody uses it', told('True', 'AtNextStart'), { kind: 'settled', message: 'why' }],
  ['it cannot', told('False', 'OverlayTooSmall'), { kind: 'refused', message: 'why' }],
  [
    'its volume cannot',
    told('False', 'AsSpecified', 'False'),
    { kind: 'refused', message: 'ClaimRefused: the class does not grow' },
  ],
  [
    'not while it runs: whom to start anew is said',
    told('True', 'RestartRequired'),
    {
      kind: 'settled',
      message: 'why. A restart is due: kubectl lamina stop work && kubectl lamina start work applies it',
    },
  ],
])('%s', (_, is, expected) => {
  expect(is).toEqual(expected)
})

test('what is told of the size before says nothing of this one', () => {
  expect(resizingOf(genOverlay('data', { status: { observedGeneration: 1 } }), 2)).toEqual({ kind: 'unseen' })
})
