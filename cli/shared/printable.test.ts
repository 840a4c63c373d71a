import { expect, test } from 'vitest'
import { oneLine, printable, shortened } from './printable.ts'

test.each([
  ['colours and a cleared screen', '\x1b[2J\x1b[31mred\x1b[0m', 'red'],
  ["a window's name", '\x1b]0;owned\x07text', 'text'],
  ['a reset', '\x1bctext', 'text'],
  ['a line that writes over itself', 'error: no\rall is well', 'error: no\nall is well'],
  ['steps back, a bell, eight-bit controls', 'a\b\x07\x9b\x7fb', 'ab'],
  ['words in another order', 'safe\u202Egnp.exe\u2069', 'safegnp.exe'],
  ['what is meant', 'first\n\tsecond · 日本', 'first\n\tsecond · 日本'],
])('%s', (_, text, shown) => {
  expect(printable(text)).toBe(shown)
})

test('one line stays one', () => {
  expect(oneLine(' a\r\n b\t\x1b[1mc ')).toBe('a b c')
})

test('a message that is too long keeps its beginning and its end', () => {
  expect(shortened('short')).toBe('short')
  expect(shortened(`could not open ${'x'.repeat(5_000)}: no such file`)).toMatch(
    /^could not open x{485}…x{486}: no such file$/,
  )
})
