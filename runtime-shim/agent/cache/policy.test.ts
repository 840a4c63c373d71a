import { describe, expect, test } from 'vitest'
import { collectable, graceMs, roomOf, surplusOf } from './policy.ts'

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

describe('what another image may take', () => {
  test('for a prefetch: what the limits leave', () => {
    const { keepFree, most } = roomOf(limits, true, 30, disk(500))
    expect([Math.round(keepFree), most]).toEqual([150, 20])
    expect(roomOf(limits, true, 70, disk(500)).most).toBe(0)
  })

  test('for a start: the disk, but for half of what is above the high mark', () => {
    expect(roomOf(limits, false, 70, disk(500))).toEqual({ keepFree: 75, most: Number.POSITIVE_INFINITY })
  })
})

describe('an image may go', () => {
  const now = new Date('2026-01-01T00:00:00Z')
  const image = (digest: string, agoMs: number) => ({ digest, sizeBytes: 1, lastUse: now.getTime() - agoMs })

  test('when nobody uses it and its last use was a while ago: the longest unused first, those of prefetches last', () => {
    const images = [
      image('late', graceMs),
      image('early', 5 * graceMs),
      image('used', 9 * graceMs),
      image('held late', 2 * graceMs),
      image('held early', 8 * graceMs),
      image('fresh', graceMs - 1),
    ]
    const holders = { inUse: new Set(['used']), held: new Set(['used', 'held late', 'held early']) }
    const leaving = collectable(images, holders, now).map(({ digest }) => digest)
    expect(leaving).toEqual(['early', 'late', 'held early', 'held late'])
  })
})
