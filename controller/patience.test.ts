import { expect, test } from 'vitest'
import { waitsOn } from './patience.ts'

const patience = { usualMs: 20_000, longMs: 300_000 }
const afterSeconds = (seconds: number, isLong: boolean): number =>
  waitsOn(patience, { sinceMs: 0, now: new Date(seconds * 1000), isLong })

test.each([
  ['the rest of its time', 5, false, 15_000],
  ['no longer than that', 20, false, 0],
  ['on where there is a reason for it', 20, true, 20_000],
  ['ever longer', 40, true, 40_000],
  ['but looked at each minute', 160, true, 60_000],
  ['and not for ever', 290, true, 10_000],
  ['nor longer', 300, true, 0],
  ['its time when the API server’s clock is ahead', -30, false, 20_000],
])('what may wait, waits %s', (_, seconds, isLong, ms) => {
  expect(afterSeconds(seconds, isLong)).toBe(ms)
})
