import { describe, expect, test } from 'vitest'
import { parseBinds, parseOverlay, parseSignal, parseSize, parseVariables } from './arguments.ts'

test.each([
  ['my.img', { path: 'my.img', access: undefined }],
  ['my.img:ro', { path: 'my.img', access: 'ReadOnly' }],
  ['a:b.img:rw', { path: 'a:b.img', access: 'ReadWrite' }],
  ['a:b', { path: 'a:b', access: undefined }],
])('overlay %s', (text, overlay) => {
  expect(parseOverlay(text)).toEqual(overlay)
})

test('binds: a place is its own, and can be read-only', () => {
  expect(parseBinds('/a,/b:/c,/d:/e:ro')).toEqual([
    { source: '/a', destination: '/a', readOnly: false },
    { source: '/b', destination: '/c', readOnly: false },
    { source: '/d', destination: '/e', readOnly: true },
  ])
})

test.each([
  ['64', 64],
  ['768M', 768],
  ['768MiB', 768],
  ['2G', 2048],
  ['1t', 2 ** 20],
])('size %s is %i MiB', (text, mebibytes) => {
  expect(parseSize(text)).toBe(mebibytes * 2 ** 20)
})

test.each(['63', '17T', '-1', '1e3', '10 K', ''])('size "%s" is refused', (text) => {
  expect(() => parseSize(text)).toThrow(/size/)
})

test.each(['15', 'TERM', 'SIGTERM', 'sigterm'])('signal %s', (text) => {
  expect(parseSignal(text)).toBe(15)
})

describe('a file of variables', () => {
  test('may have comments, quotes and export', () => {
    const text = '# said\n\nA=1\nexport B="two words"\nC=\'x\'\nD=a=b\n'
    expect(parseVariables(text, 'file')).toEqual([
      ['A', '1'],
      ['B', 'two words'],
      ['C', 'x'],
      ['D', 'a=b'],
    ])
  })
})
