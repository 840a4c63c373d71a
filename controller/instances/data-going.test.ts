import { expect, test } from 'vitest'
import { apiVersion, preparedCondition } from '../../kube/names.ts'
import { genClaim, genInstance, genOverlay, genPod } from '../../test/gen/objects.ts'
import { dataGoingOf, remadeOverlayOf } from './data-going.ts'

const instance = genInstance('dev', {
  status: { overlays: [{ name: 'work', uid: 'uid-before', access: 'ReadWrite' }] },
})
const podOn = (claimName: string, status: object = {}) =>
  genPod('dev', { spec: { volumes: [{ name: 'lamina-0', persistentVolumeClaim: { claimName } }] }, status })
const pod = podOn('lamina-work')

const given = ({ overlay, claim }: { overlay?: object; claim?: object }) => ({
  caches: {
    overlays: { get: () => overlay && genOverlay('work', overlay) },
    claims: { get: () => claim && genClaim('lamina-work', claim) },
  },
})

test('an overlay that is there, or was made again, is not told of', () => {
  expect(dataGoingOf(given({ overlay: {} }), instance, pod)).toBeUndefined()
})

test('one that is gone under its pod: where the data are, and how to take them up', () => {
  expect(dataGoingOf(given({ claim: {} }), instance, pod)).toEqual({
    reason: 'OverlayDeleted',
    message:
      'overlay "work" has been deleted: this pod has it mounted until it ends; the data stay in PersistentVolumeClaim lamina-work: make PersistentOverlay "work" again to take them up, or no other instance starts with them',
  })
})

test.each([
  [
    'its claim is its own',
    { metadata: { ownerReferences: [{ apiVersion, kind: 'PersistentOverlay', name: 'work', uid: 'u' }] } },
  ],
  ['its claim is being deleted', { metadata: { deletionTimestamp: '2026-01-01T00:00:00Z' } }],
  ['its claim is gone', undefined],
])('the data go with it when %s', (_, claim) => {
  const told = dataGoingOf(given(claim ? { claim } : {}), instance, pod)
  expect(told?.message).toContain('with the data goes when the pod ends: copy out what you need')
})

test('a claim that is being deleted under an overlay that is there: copy out what you need', () => {
  const claim = { metadata: { deletionTimestamp: '2026-01-01T00:00:00Z' } }
  expect(dataGoingOf(given({ overlay: {}, claim }), instance, pod)).toEqual({
    reason: 'OverlayClaimDeleted',
    message:
      'PersistentVolumeClaim lamina-work, which holds the data of overlay "work", is being deleted, and goes when this pod ends: copy out what you need before that',
  })
  expect(dataGoingOf(given({ overlay: {}, claim: {} }), instance, pod)).toBeUndefined()
})

test('a claim that was there before Lamina stays, whatever the cache knows of it', () => {
  expect(dataGoingOf(given({}), instance, podOn('mine'))?.message).toContain(
    'the data stay in PersistentVolumeClaim mine',
  )
})

test('a pod that has leave for the overlay before is of no use once it was made again', () => {
  const conditions = [{ type: preparedCondition, status: 'False', reason: 'OverlayGone', message: 'm' }]
  const waiting = podOn('lamina-work', { phase: 'Pending', conditions })
  const remade = given({ overlay: { metadata: { uid: 'uid-after' } } })
  expect(remadeOverlayOf(remade, instance, waiting)).toBe('work')
  expect(remadeOverlayOf(given({}), instance, waiting)).toBeUndefined()
  expect(remadeOverlayOf(remade, instance, pod)).toBeUndefined()
})
