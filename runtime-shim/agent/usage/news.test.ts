import { describe, expect, test } from 'vitest'
import { condition, genOverlay } from '../../../test/gen/objects.ts'
import type { Health } from '../pods/report.ts'
import { fillOf, levelOf } from './fullness.ts'
import { isNews, type News, toldBy } from './news.ts'

const start = Date.parse('2026-01-01T00:00:00Z')
const later = (seconds: number): Date => new Date(start + seconds * 1000)

const usage = (bytes: number, inodes = 0) => ({
  usedBytes: bytes,
  capacityBytes: 1000,
  usedInodes: inodes,
  capacityInodes: 1000,
  observedTime: '2026-01-01T00:00:00Z',
})

const told = (bytes: number, inodes?: number) =>
  toldBy(
    genOverlay('work', {
      status: { usage: usage(bytes, inodes), conditions: [condition('Healthy', 'True', 'Clean')] },
    }),
    later(0),
  )
const clean: Health = { status: 'True', reason: 'Clean', message: '' }
const seen = (bytes: number, { inodes = 0, before = 0, health = clean } = {}): News => ({
  usage: usage(bytes, inodes),
  level: levelOf(fillOf(usage(bytes, inodes)), before),
  health,
})

describe('written at once', () => {
  test.each([
    ['85 % of the bytes', told(840), seen(850)],
    ['85 % of the inodes', told(0, 840), seen(0, { inodes: 850 })],
    ['95 %', told(940), seen(950)],
    [
      'file-system errors',
      told(100),
      seen(100, { health: { status: 'False', reason: 'FileSystemErrors', message: '1' } }),
    ],
    ['errors that are gone', told(100), seen(100, { health: { status: 'True', reason: 'Repaired', message: '' } })],
  ])('%s', (_what, before, now) => {
    expect(isNews(before, now, later(0))).toBe(true)
  })

  test('what was never told', () => {
    expect(isNews(toldBy(genOverlay('work'), later(0)), seen(0), later(0))).toBe(true)
  })
})

describe('written within a minute', () => {
  test.each([
    ['five percent more', told(500), seen(550)],
    ['five percent less', told(500), seen(450)],
    ['five percent of the inodes', told(0, 100), seen(0, { inodes: 150 })],
    ['a level left', told(850), seen(799, { before: 0.85 })],
    ['a file system that has grown', told(500), { ...seen(500), usage: { ...usage(500), capacityBytes: 2000 } }],
  ])('%s', (_what, before, now) => {
    expect(isNews(before, now, later(59))).toBe(false)
    expect(isNews(before, now, later(60))).toBe(true)
  })
})

describe('written within ten minutes', () => {
  test('any change', () => {
    expect(isNews(told(500), seen(501), later(599))).toBe(false)
    expect(isNews(told(500), seen(501), later(600))).toBe(true)
  })
  test('but not the same again, however long it lasts', () => {
    expect(isNews(told(500), seen(500), later(86_400))).toBe(false)
  })
})

test('around a level it does not flap: it is left five points below', () => {
  expect(isNews(told(850), seen(840, { before: 0.85 }), later(3600))).toBe(true)
  expect(seen(840, { before: 0.85 }).level).toBe(0.85)
  expect(isNews({ ...told(840), level: 0.85 }, seen(860, { before: 0.85 }), later(30))).toBe(false)
})

test('a node whose clock was ahead does not silence this one', () => {
  const ahead = genOverlay('work', { status: { usage: { ...usage(500), observedTime: '2027-01-01T00:00:00Z' } } })
  const before = { ...toldBy(ahead, later(0)), health: clean }
  expect(isNews(before, seen(600), later(60))).toBe(true)
})
