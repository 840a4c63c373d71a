import { expect, test } from 'vitest'
import type { Instance } from '../../crds/instance.ts'
import { condition, genInstance, genPod } from '../../test/gen/objects.ts'
import { waitsForMore } from './soon.ts'

const at = (seconds: number): Date => new Date(Date.UTC(2026, 0, 1, 0, 0, seconds))
const metadata = { creationTimestamp: '2026-01-01T00:00:00Z' }
const starting = [condition('Ready', 'False', 'Starting')]
const granted = { uid: 'uid-dev', name: 'dev', templateHash: 'h' }
const dev = (status: object = {}): Instance => genInstance('dev', { metadata, status })
const pod = genPod('dev')
const when = (seconds: number, of?: typeof pod, isBurst = false) => ({ pod: of, isBurst, now: at(seconds) })

test('that somebody else has not looked yet waits for him', () => {
  const { status } = dev({ conditions: [condition('Ready', 'False', 'ClaimPending')] })
  expect(waitsForMore(dev(), status, when(1))).toBe(4_000)
})

test('it does not wait for ever', () => {
  const { status } = dev({ conditions: [condition('Ready', 'False', 'ClaimPending')] })
  expect(waitsForMore(dev(), status, when(5))).toBe(0)
})

test('what has been told before is not left standing', () => {
  const { status } = dev({ conditions: [condition('Ready', 'False', 'ClaimPending')] })
  expect(waitsForMore(dev({ conditions: starting }), status, when(1))).toBe(0)
})

test('trouble is told at once', () => {
  const { status } = dev({ conditions: [condition('Ready', 'False', 'OverlayNotFound')] })
  expect(waitsForMore(dev(), status, when(1))).toBe(0)
})

test('the node of a pod that starts waits for the start', () => {
  const { status } = dev({ pod: { ...granted, nodeName: 'n' }, conditions: starting })
  expect(waitsForMore(dev({ pod: granted, conditions: starting }), status, when(2, pod))).toBe(13_000)
})

test('and on when many start at once', () => {
  const { status } = dev({ pod: { ...granted, nodeName: 'n' }, conditions: starting })
  const before = dev({ pod: granted, conditions: starting })
  expect([false, true].map((isBurst) => waitsForMore(before, status, when(15, pod, isBurst)))).toEqual([0, 15_000])
})

test('the pod itself is told at once: its node may not mount anything before', () => {
  const { status } = dev({ pod: granted, conditions: starting })
  expect(waitsForMore(dev(), status, when(0, pod))).toBe(0)
})

test('the start is told at once', () => {
  const { status } = dev({ pod: { ...granted, nodeName: 'n' }, conditions: [condition('Ready', 'True', 'Running')] })
  expect(waitsForMore(dev({ pod: granted, conditions: starting }), status, when(2, pod))).toBe(0)
})
