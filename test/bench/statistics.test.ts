import { expect, test } from 'vitest'
import { quantiles } from './statistics.ts'

test('quantiles are values that were measured', () => {
  const hundred = Array.from({ length: 100 }, (_, index) => 100 - index)
  expect(quantiles(hundred)).toEqual({ p50: 50, p90: 90, p99: 99, most: 100 })
  expect(quantiles([7])).toEqual({ p50: 7, p90: 7, p99: 7, most: 7 })
})
