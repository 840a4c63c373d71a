import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { paxRecords } from '../testing/archive.ts'
import { TarError } from './header.ts'
import { encodePax, parsePax } from './pax.ts'

const bytes = fc.uint8Array({ maxLength: 300 }).map((array) => Buffer.from(array).toString('latin1'))
const key = fc.stringMatching(/^[A-Za-z.]{1,40}$/).filter((text) => !text.startsWith('GNU.'))

describe('PAX records', () => {
  test('keep every byte of a value', () => {
    fc.assert(
      fc.property(fc.uniqueArray(fc.tuple(key, bytes), { selector: ([name]) => name }), (entries) => {
        const records = new Map(entries.map(([name, value]) => [`SCHILY.xattr.user.${name}`, value]))
        expect(parsePax(encodePax(records))).toEqual(records)
      }),
    )
  })

  test('are written with a length that counts its own digits', () => {
    expect(encodePax(new Map([['a', '1'.repeat(94)]])).toString()).toMatch(/^101 a=/)
    expect(encodePax(new Map([['a', '1'.repeat(93)]])).toString()).toMatch(/^99 a=/)
  })

  test('count by the last one of a key', () => {
    expect(parsePax(Buffer.concat([paxRecords({ path: 'one' }), paxRecords({ path: 'two' })]))).toEqual(
      new Map([['path', 'two']]),
    )
  })

  test('of sparse format 0.0 become a map of format 0.1', () => {
    const pairs = [
      paxRecords({ 'GNU.sparse.offset': '0' }),
      paxRecords({ 'GNU.sparse.numbytes': '512' }),
      paxRecords({ 'GNU.sparse.offset': '4096' }),
      paxRecords({ 'GNU.sparse.numbytes': '10' }),
    ]
    expect(parsePax(Buffer.concat(pairs)).get('GNU.sparse.map')).toBe('0,512,4096,10')
    expect(() => parsePax(Buffer.concat(pairs.toReversed()))).toThrow(TarError)
  })

  test.each([
    ['no length', 'path=x\n'],
    ['a length past the end', '99 path=x\n'],
    ['a length that cuts', '8 path=x\n'],
    ['no new line', '9 path=xy'],
    ['no key', '6 =ab\n'],
    ['no value', '8 path\n\n'],
    ['a name with a NUL', '12 path=a\0bc\n'],
    ['a negative length', '-9 path=x\n'],
  ])('with %s are refused', (_, text) => {
    expect(() => parsePax(Buffer.from(text))).toThrow(TarError)
  })
})
