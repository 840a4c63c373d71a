import { describe, expect, test } from 'vitest'
import { fillOf, fullnessEvent, levelOf } from './fullness.ts'

const amounts = (bytes: number, inodes: number) => ({
  usedBytes: bytes,
  capacityBytes: 100,
  usedInodes: inodes,
  capacityInodes: 1000,
})

test.each([
  [amounts(50, 100), 0.5],
  [amounts(50, 900), 0.9],
  [{ ...amounts(50, 0), capacityInodes: 0 }, 0.5],
])(
  'how full %j is: the larger share; a file system without a number of inodes has none to run out of',
  (found, fill) => {
    expect(fillOf(found)).toBe(fill)
  },
)

describe('the level', () => {
  test.each([
    [0.84, 0],
    [0.85, 0.85],
    [0.9499, 0.85],
    [0.95, 0.95],
    [1, 0.95],
  ])('of %d, seen for the first time, is %d', (fill, level) => {
    expect(levelOf(fill, 0)).toBe(level)
  })

  test.each([
    [0.81, 0.85, 0.85],
    [0.79, 0.85, 0],
    [0.91, 0.95, 0.95],
    [0.89, 0.95, 0.85],
    [0.81, 0.95, 0.85],
    [0.5, 0.95, 0],
  ])('of %d after %d is %d: it is left five points below', (fill, before, level) => {
    expect(levelOf(fill, before)).toBe(level)
  })
})

describe('the Event', () => {
  test('names the instance, what runs out, and how much there is', () => {
    const found = { ...amounts(0, 10), usedBytes: 1800 * 2 ** 20, capacityBytes: 2048 * 2 ** 20, instance: 'dev' }
    expect(fullnessEvent(0.85, found)).toEqual({
      reason: 'OverlayNearlyFull',
      message:
        'instance "dev" uses more than 85 % of the bytes (2048 MiB) of this overlay: raise spec.size or remove files, before writes fail (ENOSPC)',
    })
  })

  test('names inodes where these run out, and both where both do', () => {
    const message = (bytes: number, inodes: number) =>
      fullnessEvent(0.95, { ...amounts(bytes, inodes), instance: 'dev' })?.message
    expect(message(10, 960)).toContain('95 % of the inodes (1000) of')
    expect(message(96, 960)).toContain('95 % of the bytes (1 MiB) and inodes (1000) of')
  })

  test('has the same words whatever the exact figures are, so that it counts up', () => {
    const at = (bytes: number) => fullnessEvent(0.85, { ...amounts(bytes, 0), instance: 'dev' })
    expect(at(86)).toEqual(at(90))
  })

  test('there is none below', () => {
    expect(fullnessEvent(0, { ...amounts(10, 10), instance: 'dev' })).toBeUndefined()
  })
})
