import { expect, test } from 'vitest'
import { soonest } from './soonest.ts'

test.each<[string, (number | undefined)[], object]>([
  ['the earliest of several', [3, undefined, 2], { requeueAfterMs: 2 }],
  ['at once is the earliest of all', [3, 0], { requeueAfterMs: 0 }],
  ['none, where nothing calls for it', [undefined, undefined], {}],
])('another pass: %s', (_, afterMs, expected) => {
  expect(soonest(...afterMs)).toEqual(expected)
})
