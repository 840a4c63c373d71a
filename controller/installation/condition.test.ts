import { describe, expect, test } from 'vitest'
import { changedCondition, findingOf } from './condition.ts'

describe('findingOf', () => {
  test('all policies are in force', () => {
    expect(findingOf([], 9)).toEqual({
      status: 'True',
      reason: 'PoliciesInForce',
      message: 'all 9 admission policies are in force',
    })
  })

  test('some are missing: they are named, with what to do', () => {
    const { status, reason, message } = findingOf(['lamina-claims', 'lamina-status'], 9)
    expect({ status, reason }).toEqual({ status: 'False', reason: 'PoliciesMissing' })
    expect(message).toContain('lamina-claims, lamina-status')
    expect(message).toContain('docs/security.md')
  })

  test('they cannot be read: that is not to say that they are in force', () => {
    expect(findingOf(undefined, 9)).toMatchObject({ status: 'Unknown', reason: 'PoliciesUnreadable' })
  })
})

describe('changedCondition', () => {
  const [first, later] = ['2026-01-01T00:00:00Z', '2026-01-02T00:00:00Z']
  const missing = findingOf(['lamina-claims'], 9)

  test('is new where there was none', () => {
    expect(changedCondition(undefined, missing, first)).toMatchObject({
      ...missing,
      type: 'lamina.dev/Guarded',
      lastTransitionTime: first,
    })
  })

  test('is nothing where it says the same', () => {
    expect(changedCondition(changedCondition(undefined, missing, first), missing, later)).toBeUndefined()
  })

  test('keeps the time of its transition while only the words change', () => {
    const more = findingOf(['lamina-claims', 'lamina-status'], 9)
    expect(changedCondition(changedCondition(undefined, missing, first), more, later)).toMatchObject({
      lastTransitionTime: first,
      lastUpdateTime: later,
    })
    expect(changedCondition(changedCondition(undefined, missing, first), findingOf([], 9), later)).toMatchObject({
      lastTransitionTime: later,
    })
  })
})
