import { expect, test } from 'vitest'
import { formatTable } from './table.ts'

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
