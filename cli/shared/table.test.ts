import { expect, test } from 'vitest'
import { createTable, formatTable } from './table.ts'

test('columns are as wide as their widest cell, and nothing stands behind the last', () => {
  expect(
    formatTable(
      ['NAME', 'AGE'],
      [
        ['development', '5m'],
        ['x', ''],
      ],
    ),
  ).toBe(['NAME          AGE', 'development   5m', 'x', ''].join('\n'))
})

test('a cell is measured in characters, not in code units', () => {
  expect(
    formatTable(
      ['A', 'B'],
      [
        ['🦉', '1'],
        ['ab', '2'],
      ],
    ),
  ).toBe(['A    B', '🦉    1', 'ab   2', ''].join('\n'))
})

test('what others wrote stays in its cell, and moves no cursor', () => {
  expect(formatTable(['NAME', 'MESSAGE'], [['dev', '\x1b[2Jno\nsuch image']])).toBe(
    ['NAME   MESSAGE', 'dev    no such image', ''].join('\n'),
  )
})

test('of rows that come later the columns stay where they are, until one is wider', () => {
  const add = createTable(2)
  expect(add([['first', '1']])).toBe('first   1\n')
  expect(add([['a', '2']])).toBe('a       2\n')
  expect(add([['a-longer', '3']])).toBe('a-longer   3\n')
  expect(add([['b', '4']])).toBe('b          4\n')
})
