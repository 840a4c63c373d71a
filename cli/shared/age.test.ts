import { expect, test } from 'vitest'
import { ageOf, formatDuration } from './age.ts'

test.each([
  [0, '0s'],
  [-3, '0s'],
  [119, '119s'],
  [120, '2m'],
  [570, '9m30s'],
  [3_000, '50m'],
  [3_660, '1h1m'],
  [36_000, '10h'],
  [90_000, '1d1h'],
  [864_000, '10d'],
])('%i seconds are %s', (seconds, words) => {
  expect(formatDuration(seconds)).toBe(words)
})

test('an object without a time has no age', () => {
  expect(ageOf(undefined, new Date(0))).toBe('<unknown>')
  expect(ageOf('1970-01-01T00:00:00Z', new Date(5_000))).toBe('5s')
})
