import { describe, expect, test } from 'vitest'
import { CacheFullError, NoSpaceError, RegistryError } from '../../image/errors.ts'
import { Trouble } from '../trouble.ts'
import { createShortages, lackOf } from './shortages.ts'

const gibi = 2 ** 30
const trouble = new Trouble('ImageNoSpace', 'it takes more than 5 MiB')
const digest = `sha256:${'a'.repeat(64)}`
const image = { reference: `registry.example/big@${digest}` }
const file = { reference: `https://files.example/big@${digest}` }
const stopped = (taken: number) => new CacheFullError({ needed: taken, most: taken - 1, soFar: true })
const full = Object.assign(new Error('write'), { code: 'ENOSPC' })

const create = () => {
  let now = 0
  const shortages = createShortages({ now: () => new Date(now) })
  const later = (minutes: number): void => {
    now += minutes * 60_000
  }
  const withRoom = (room: number, wanted: Parameters<typeof shortages.of>[0] = image) =>
    shortages.of(wanted, (bytes) => bytes <= room)
  return { ...shortages, later, withRoom }
}

describe('an image that was stopped because it took too much', () => {
  test('is not tried again while there is no more room than that, however long', () => {
    const { note, later, withRoom } = create()
    note(image, stopped(50), trouble)
    later(24 * 60)
    expect(withRoom(49)).toBe(trouble)
    expect(withRoom(50)).toBeUndefined()
  })

  test('is tried again later each time, up to an hour, whatever room there seems to be', () => {
    const { note, later, withRoom } = create()
    for (const minutes of [1, 2, 4, 8, 16, 32, 60, 60]) {
      note(image, stopped(50), trouble)
      later(minutes - 0.1)
      expect(withRoom(gibi)).toBe(trouble)
      later(0.1)
      expect(withRoom(gibi)).toBeUndefined()
    }
  })

  test('is like any other when it has come', () => {
    const { note, forget, withRoom } = create()
    note(image, stopped(50), trouble)
    forget(image)
    expect(withRoom(0)).toBeUndefined()
  })

  test('may be smaller after an hour, where a web server has it', () => {
    const { note, later, withRoom } = create()
    note(file, stopped(50), trouble)
    later(59)
    expect(withRoom(0, file)).toBe(trouble)
    later(1)
    expect(withRoom(0, file)).toBeUndefined()
  })

  test('is remembered by its place, and by whether somebody waits for it', () => {
    const { note, withRoom } = create()
    note({ ...image, beforehand: true }, stopped(50), trouble)
    expect(withRoom(0)).toBeUndefined()
    expect(withRoom(0, { reference: `registry.example/other@${digest}`, beforehand: true })).toBeUndefined()
    expect(withRoom(0, { ...image, beforehand: true })).toBe(trouble)
  })

  test('waits its time where nobody knows how much it took', () => {
    const { note, later, withRoom } = create()
    note(image, full, trouble)
    expect(withRoom(gibi)).toBe(trouble)
    later(1)
    expect(withRoom(0)).toBeUndefined()
  })
})

test.each([
  ['what a server or manifest says is too much', new NoSpaceError({ path: '/cache', needed: 10, free: 1 })],
  ['another failure', new RegistryError('Unreachable', 'no route')],
])('nothing was done in vain for %s: it is not remembered', (_, error) => {
  const { note, withRoom } = create()
  note(image, error, trouble)
  expect(withRoom(0)).toBeUndefined()
})

describe('room that has to be made', () => {
  test('is known where the size is', () => {
    const error = new NoSpaceError({ path: '/cache', needed: 100, free: 30, keepFree: 10 })
    expect(lackOf(error, true)).toEqual({ bytes: 180, atLeast: 80 })
    expect(lackOf(new CacheFullError({ needed: 100, most: 30 }), true)).toEqual({ bytes: 70, atLeast: 70 })
  })

  test.each([stopped(50), full])('is a gibibyte where it is not (%s), and none for a prefetch', (error) => {
    expect(lackOf(error, false)).toEqual({ bytes: gibi, atLeast: 0 })
    expect(lackOf(error, true)).toBeUndefined()
  })

  test('does not help against other failures', () => {
    expect(lackOf(new RegistryError('Unreachable', 'no route'), false)).toBeUndefined()
  })
})
