import { describe, expect, test } from 'vitest'
import { collectable, graceMs, surplusOf } from './policy.ts'

const limits = { maxBytes: 50, highPercent: 85, lowPercent: 75 }
const disk = (available: number) => ({ size: 1000, available })

describe('what has to go', () => {
  test.each([
    ['nothing, within both limits', 50, disk(150), 0],
    ['what is above the size of the cache', 70, disk(500), 20],
    ['what brings a disk above the high mark down to the low one', 40, disk(149), 101],
    ['the larger of both', 200, disk(149), 150],
  ])('is %s', (_, cached, of, surplus) => {
    expect(surplusOf(limits, cached, of)).toBe(surplus)
  })

  test('is told by the disk alone without a size of the cache', () => {
    expect(surplusOf({ ...limits, maxBytes: Number.POSITIVE_INFINITY }, 10 ** 12, disk(500))).toBe(0)
  })
})

describe('an image may go', () => {
  const now = new Date('2026-01-01T00:00:00Z')
  const image = (digest: string, agoMs: number) => ({ digest, sizeBytes: 1, lastUse: now.getTime() - agoMs })

  test('when nobody has it and its last use was a while ago, the longest unused first', () => {
    const images = [
      image('late', graceMs),
      image('early', 5 * graceMs),
      image('held', 9 * graceMs),
      image('fresh', graceMs - 1),
    ]
    expect(collectable(images, new Set(['held']), now).map(({ digest }) => digest)).toEqual(['early', 'late'])
  })
})
