import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import { tellUnnoticed } from './unnoticed.ts'

beforeEach(() => void vi.useFakeTimers())
afterEach(() => void vi.useRealTimers())

test('that nobody takes notice is told after ten seconds, once', () => {
  const told: string[] = []
  tellUnnoticed((line) => told.push(line))
  vi.advanceTimersByTime(9_999)
  expect(told).toEqual([])
  vi.advanceTimersByTime(60_000)
  expect(told).toEqual(['the controller has not looked at it yet; kubectl lamina doctor tells whether it is up'])
})

test('and not at all when somebody has', () => {
  const told: string[] = []
  tellUnnoticed((line) => told.push(line))()
  vi.advanceTimersByTime(60_000)
  expect(told).toEqual([])
})
