import { execFileSync } from 'node:child_process'
import { closeSync, existsSync, fstatSync, mkdirSync, openSync, readdirSync, statfsSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { systemClock } from '../../../kube/clock.ts'
import { mountSmallDisk } from '../../../test/node/small-disk.ts'
import { flock, lockKind } from '../../mount/syscalls.ts'
import { type NodeLayout, podPaths } from '../../node/layout.ts'
import { createCollector } from './collector.ts'
import { cacheRoot, evict, removeAside } from './entry.ts'
import { digestsInUse, hold, letGo } from './in-use.ts'
import type { CacheLimits } from './policy.ts'
import { giveTicket, makeLayout, plant, removeLayout } from './testing/plant.ts'

const digestOf = (letter: string) => `sha256:${letter.repeat(64)}`
const hour = 3_600_000
const tenBytes = Buffer.alloc(10, 1)
const noLimits = { maxBytes: Number.POSITIVE_INFINITY, highPercent: 100, lowPercent: 100 }

let layout: NodeLayout
beforeEach(() => {
  layout = makeLayout()
})
afterEach(() => removeLayout(layout))

const letters = () => readdirSync(cacheRoot(layout)).map((name) => /^sha256-(.)/.exec(name)?.[1] ?? name)

const collectorOf = (limits: Partial<CacheLimits>, gone: string[] = []) =>
  createCollector({
    ...{ layout, limits: { ...noLimits, ...limits }, clock: systemClock },
    observer: { onCollected: ({ digest }) => gone.push(digest.slice(7, 8)), onContents: () => {} },
  })

/** Collects once; the letters of what has gone. */
const collect = (limits: Partial<CacheLimits>): string[] => {
  const gone: string[] = []
  collectorOf(limits, gone).collect()
  return gone
}

describe('images leave the cache', () => {
  test('when it is larger than it may be, the longest unused first, and no more than needed', () => {
    for (const [letter, hours] of Object.entries({ a: 1, b: 4, c: 2, d: 3 }))
      plant(layout, digestOf(letter), tenBytes, hours * hour)
    expect(collect({ maxBytes: 25 })).toEqual(['b', 'd'])
    expect(letters()).toEqual(['a', 'c'])
    expect(collect({ maxBytes: 25 })).toEqual([])
  })

  test('when their disk is fuller than it may be, by whatever', () => {
    const root = cacheRoot(layout)
    mkdirSync(root)
    const unmount = mountSmallDisk(root, 16)
    try {
      const quarter = Buffer.alloc(3 * 2 ** 20, 1)
      for (const [letter, hours] of Object.entries({ a: 2, b: 3 }))
        plant(layout, digestOf(letter), quarter, hours * hour)
      execFileSync('fallocate', ['-l', '6M', join(root, '.something-else')])
      expect(collect({ highPercent: 95, lowPercent: 90 })).toEqual([])
      expect(collect({ highPercent: 80, lowPercent: 70 })).toEqual(['b'])
    } finally {
      unmount()
    }
  })

  test('never within moments of their last use: a start may have seen them and have no ticket yet', () => {
    plant(layout, digestOf('a'), tenBytes, 60_000)
    expect(collect({ maxBytes: 0 })).toEqual([])
  })
})

describe('an image in use stays, however full the disk', () => {
  test('with a lock on it, as every mount has', () => {
    const { file } = plant(layout, digestOf('a'), tenBytes, hour)
    const fd = openSync(file, 'r')
    flock(fd, lockKind.shared, { wait: false })
    expect(collect({ maxBytes: 0 })).toEqual([])
    closeSync(fd)
    expect(collect({ maxBytes: 0 })).toEqual(['a'])
  })

  test('attached to a loop device', () => {
    const { file } = plant(layout, digestOf('a'), Buffer.alloc(4096), hour)
    const device = execFileSync('losetup', ['--find', '--show', '--read-only', file], { encoding: 'utf8' }).trim()
    try {
      expect(digestsInUse(layout)).toContain(digestOf('a'))
      expect(collect({ maxBytes: 0 })).toEqual([])
    } finally {
      execFileSync('losetup', ['-d', device])
    }
  })

  test('named by a ticket; one for an image on a volume names none', () => {
    for (const letter of ['a', 'b']) plant(layout, digestOf(letter), tenBytes, hour)
    giveTicket(layout, 'uid-1', digestOf('a'))
    giveTicket(layout, 'uid-2', digestOf('b'), { mountPath: '/.lamina/base', path: 'b.sif' })
    expect(collect({ maxBytes: 0 })).toEqual(['b'])
  })
})

describe('an image of a prefetch', () => {
  const holdIt = (letter: string): void => {
    mkdirSync(podPaths(layout, 'uid-1').dir, { recursive: true })
    hold(layout, 'uid-1', digestOf(letter))
  }

  test('leaves the cache after those that nobody has asked for, and does leave it', () => {
    plant(layout, digestOf('a'), tenBytes, 3 * hour)
    plant(layout, digestOf('b'), tenBytes, hour)
    holdIt('a')
    expect(collect({ maxBytes: 10 })).toEqual(['b'])
    expect(collect({ maxBytes: 9 })).toEqual(['a'])
  })

  test('makes room for a start, and not for another prefetch', () => {
    plant(layout, digestOf('a'), tenBytes, hour)
    holdIt('a')
    const { makeRoom } = collectorOf({})
    expect(makeRoom(10, true)).toBe(0)
    expect(makeRoom(10, false)).toBe(10)
  })

  test('is not thrown out, nor any other, for what could not come even so', () => {
    for (const letter of ['a', 'b']) plant(layout, digestOf(letter), tenBytes, hour)
    const { makeRoom } = collectorOf({})
    expect(makeRoom(10 ** 15, true)).toBe(0)
    expect(makeRoom(10 ** 15, false, 21)).toBe(0)
    expect(letters()).toEqual(['a', 'b'])
    expect(makeRoom(10 ** 15, false, 20)).toBe(20)
  })

  test('is like any other when the prefetch has ended', () => {
    plant(layout, digestOf('a'), tenBytes, hour)
    holdIt('a')
    letGo(layout, 'uid-1')
    expect(collectorOf({}).makeRoom(10, true)).toBe(10)
  })

  test('may be as large as the cache has room for; one that a start waits for, as the disk has', () => {
    plant(layout, digestOf('a'), tenBytes)
    const { roomFor } = collectorOf({ maxBytes: 15, highPercent: 90 })
    const { blocks, bsize } = statfsSync(layout.cacheDir)
    const tenth = blocks * bsize * 0.1
    const [beforehand, now] = [roomFor(true), roomFor(false)]
    expect([beforehand.most, now.most]).toEqual([5, Number.POSITIVE_INFINITY])
    expect(Math.round((beforehand.keepFree / tenth) * 100)).toBe(100)
    expect(Math.round((now.keepFree / tenth) * 100)).toBe(50)
  })
})

test('what is under way counts as if it were there, unless it is not asked for', () => {
  plant(layout, digestOf('a'), tenBytes)
  const making = join(cacheRoot(layout), '.making-x1')
  mkdirSync(join(making, 'layers'), { recursive: true })
  writeFileSync(join(making, 'image'), tenBytes)
  writeFileSync(join(making, 'layers', '1'), Buffer.alloc(3))
  const { roomFor } = collectorOf({ maxBytes: 30 })
  expect(roomFor(true).most).toBe(7)
  expect(roomFor(true, 'ignored').most).toBe(20)
})

test('who has opened the file and locks it after the removal finds no link to it', () => {
  const { file } = plant(layout, digestOf('a'), tenBytes, hour)
  const opened = openSync(file, 'r')
  collect({ maxBytes: 0 })
  flock(opened, lockKind.shared, { wait: false })
  expect(fstatSync(opened).nlink).toBe(0)
  closeSync(opened)
})

test('what is evicted while in use makes room at once for another, and goes when it is free', () => {
  const entry = plant(layout, digestOf('a'), tenBytes)
  const mounted = openSync(entry.file, 'r')
  flock(mounted, lockKind.shared, { wait: false })
  expect(evict(entry)).toEqual({ inUse: true })
  expect(existsSync(entry.dir)).toBe(false)
  removeAside(layout)
  expect(readdirSync(cacheRoot(layout))).toEqual([expect.stringMatching(/^\.aside-sha256-a/)])
  closeSync(mounted)
  removeAside(layout)
  expect(readdirSync(cacheRoot(layout))).toEqual([])
})
