import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import { createPatience } from './patience.ts'

beforeEach(() => void vi.useFakeTimers())
afterEach(() => void vi.useRealTimers())

test('it ends with what stood in the way last', () => {
  const { signal, wear } = createPatience(1_000)
  wear(new Error('first'))
  vi.advanceTimersByTime(600)
  wear(new Error('second'))
  vi.advanceTimersByTime(399)
  expect(signal.aborted).toBe(false)
  vi.advanceTimersByTime(1)
  expect(signal.reason).toEqual(new Error('second'))
})

test('while it goes on nothing is spent, and what was spent before stays so', () => {
  const { signal, wear, rest } = createPatience(1_000)
  wear(new Error('first'))
  vi.advanceTimersByTime(600)
  rest()
  vi.advanceTimersByTime(60_000)
  expect(signal.aborted).toBe(false)
  wear(new Error('again'))
  vi.advanceTimersByTime(400)
  expect(signal.aborted).toBe(true)
})
