import { expect, test } from 'vitest'
import { overlayFlag } from './flags.ts'

test.each([
  ['dev', { name: 'dev', access: 'ReadWrite' }],
  ['dev:rw', { name: 'dev', access: 'ReadWrite' }],
  ['dev:ro', { name: 'dev', access: 'ReadOnly' }],
])('--overlay %s', (text, flag) => {
  expect(overlayFlag(text)).toEqual([flag])
})

test.each(['dev:r', 'dev:constructor', 'dev:toString', 'dev:ro:rw'])('--overlay %s is refused', (text) => {
  expect(() => overlayFlag(text)).toThrow('Give NAME, NAME:rw or NAME:ro.')
})
