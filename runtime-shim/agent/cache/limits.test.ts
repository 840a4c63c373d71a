import { describe, expect, test } from 'vitest'
import * as z from 'zod'
import { cacheLimitFields, cacheLimitsOf } from './limits.ts'

const limitsOf = (environment: object) => cacheLimitsOf(z.object(cacheLimitFields).parse(environment))

describe('limits of the cache', () => {
  test('without any: the disk alone counts', () => {
    expect(limitsOf({})).toEqual({ maxBytes: Number.POSITIVE_INFINITY, highPercent: 85, lowPercent: 75 })
  })

  test('are a quantity and two percentages', () => {
    const environment = { CACHE_MAX_BYTES: '20Gi', CACHE_HIGH_PERCENT: '90', CACHE_LOW_PERCENT: '80' }
    expect(limitsOf(environment)).toEqual({ maxBytes: 20 * 2 ** 30, highPercent: 90, lowPercent: 80 })
  })

  test.each([
    [{ CACHE_MAX_BYTES: 'much' }, /"much" is not a quantity/],
    [{ CACHE_HIGH_PERCENT: '101' }, /100/],
    [{ CACHE_LOW_PERCENT: '86' }, /must not be above CACHE_HIGH_PERCENT, 85/],
  ])('%j are refused', (environment, words) => {
    expect(() => limitsOf(environment)).toThrow(words)
  })
})
