import { describe, expect, test } from 'vitest'
import type { PersistentOverlayStatus } from '../../crds/persistent-overlay.ts'
import { condition, genClaim, genInstance, genOverlay } from '../../test/gen/objects.ts'
import type { ClaimFinding } from './observe-claim.ts'
import { waitsForInstance, waitsForMore } from './soon.ts'
import { statusAfter } from './status.ts'

const at = (seconds: number): Date => new Date(Date.UTC(2026, 0, 1, 0, 0, seconds))
const time = (seconds: number): string => `2026-01-01T00:00:${String(seconds).padStart(2, '0')}Z`
const attachment = {
  instanceUID: 'uid-dev',
  instanceName: 'dev',
  access: 'ReadWrite' as const,
  attachTime: time(0),
}
const reader = { ...attachment, instanceUID: 'uid-reader', instanceName: 'reader' }
const claim = genClaim('lamina-work')
const bound: ClaimFinding = {
  kind: 'bound',
  claim: genClaim('lamina-work', { status: { phase: 'Bound', capacity: { storage: '1Gi' } } }),
}
const waiting: ClaimFinding = { kind: 'waitsForConsumer', claim }

const says = (finding: ClaimFinding, attachments = [attachment], overdue: string[] = []): PersistentOverlayStatus =>
  statusAfter(genOverlay('work'), { finding, attachments, overdue, base: undefined, now: at(0) })

const when = (seconds: number, isStart = true) => ({ isStart, now: at(seconds) })

describe('while an instance starts with an overlay', () => {
  test('its volume, and how large that is, may wait', () => {
    expect(waitsForMore(says(waiting), says(bound), when(5))).toBe(15_000)
  })

  test.each([
    ['no longer when it runs', when(5, false), 0],
    ['on while it does not', when(20), 20_000],
    ['but not for ever', when(300), 0],
  ])('%s', (_, circumstances, ms) => {
    expect(waitsForMore(says(waiting), says(bound), circumstances)).toBe(ms)
  })

  test.each<[string, PersistentOverlayStatus, PersistentOverlayStatus]>([
    ['that nobody has it any more', says(bound), says(bound, [])],
    [
      'that it has a volume, when it was not Ready without',
      says({ kind: 'pending', claim, trouble: undefined }),
      says(bound),
    ],
    ['trouble', says(waiting), says({ kind: 'pending', claim, trouble: 'no space' })],
    ['the first word', {}, says(waiting)],
    ['that a holder does not let go', says(waiting), says(bound, [attachment], ['pod dev should have ended'])],
    [
      'all, when others come too, for each would put it off,',
      says(waiting, [attachment, reader]),
      says(bound, [attachment, reader]),
    ],
  ])('%s is told at once', (_, before, after) => {
    expect(waitsForMore(before, after, when(1))).toBe(0)
  })
})

test('of an overlay that nobody has, all is told at once', () => {
  expect(waitsForMore(says(waiting, []), says(bound, []), when(1))).toBe(0)
})

describe('an overlay that nobody has looked at', () => {
  const coming = (given: Parameters<typeof genInstance>[1] = {}) =>
    genInstance('dev', { ...given, metadata: { creationTimestamp: time(0), ...given.metadata } })

  test('is left to the instance that is to have its first pass', () => {
    expect(waitsForInstance([coming()], at(10))).toBe(20_000)
  })

  test.each([
    ['there is none', []],
    ['it has had its pass', [coming({ status: { conditions: [condition('Ready', 'False', 'ImageNotFound')] } })]],
    ['it is to be stopped', [coming({ spec: { state: 'Stopped' } })]],
    ['it is being deleted', [coming({ metadata: { deletionTimestamp: time(1) } })]],
  ])('is not when %s', (_, instances) => {
    expect(waitsForInstance(instances, at(1))).toBe(0)
  })

  test('is not for ever', () => {
    expect(waitsForInstance([coming()], at(30))).toBe(0)
  })
})
