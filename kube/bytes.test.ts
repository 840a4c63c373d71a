import { expect, test } from 'vitest'
import { formatBytes, formatShare } from './bytes.ts'

test.each([
  [0, '0 B'],
  [1023, '1023 B'],
  [1024, '1 KiB'],
  [1_610_612_736, '1.5 GiB'],
  [33 * 2 ** 20, '33 MiB'],
  [2 ** 63, '8192 PiB'],
])('%d bytes are %s', (bytes, words) => {
  expect(formatBytes(bytes)).toBe(words)
})

test('a share of nothing is not a number', () => {
  expect([formatShare(1, 3), formatShare(0, 0)]).toEqual(['33%', '-'])
})
