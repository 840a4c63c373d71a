import { expect, test } from 'vitest'
import { formatQuantity, mebibytes, parseQuantity } from './quantity.ts'

test.each([
  ['1Gi', 2 ** 30],
  ['1.5G', 1_500_000_000],
  ['1e3', 1000],
  ['100m', 1],
  ['16777216000000000n', 16_777_216],
])('%s are %d bytes', (text, bytes) => {
  expect(parseQuantity(text)).toBe(bytes)
})

test.each(['', 'big', '1GB'])('"%s" is no quantity', (text) => {
  expect(() => parseQuantity(text)).toThrow(/is not a quantity such as 1Gi/)
})

test.each([
  [2 ** 30, '1Gi'],
  [1025 * 2 ** 20, '1025Mi'],
  [2 ** 30 - 4096, '1048572Ki'],
  [1000, '1000'],
  [0, '0'],
])('%d bytes are told as %s, exactly', (bytes, text) => {
  expect(formatQuantity(bytes)).toBe(text)
  expect(parseQuantity(text)).toBe(bytes)
})

test.each([
  [0, '0 MiB'],
  [1, '1 MiB'],
  [33 * 2 ** 20, '33 MiB'],
])('%d bytes are told to people as %s, rounded up', (bytes, words) => {
  expect(mebibytes(bytes)).toBe(words)
})
