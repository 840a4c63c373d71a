import { describe, expect, test } from 'vitest'
import { bytesOfName, cleanPath, isTooLong, nameOfBytes, printableName } from './names.ts'

describe('names inside an image', () => {
  test.each([
    ['./usr/bin/', 'usr/bin'],
    ['/etc//passwd', 'etc/passwd'],
    ['a/../b/./c', 'b/c'],
    ['../../etc', 'etc'],
    ['..', ''],
    ['./', ''],
    ['a/..', ''],
    ['...', '...'],
  ])('%s is %s below the root', (name, path) => {
    expect(cleanPath(name)).toBe(path)
  })

  test('every byte survives', () => {
    const bytes = Buffer.from(Array.from({ length: 255 }, (_, index) => index + 1))
    expect(bytesOfName(nameOfBytes(bytes))).toEqual(bytes)
  })

  test('are UTF-8 in messages where they can be, and never control a terminal', () => {
    expect(printableName(nameOfBytes(Buffer.from('grün\n\u001b[2J')))).toBe('grün??[2J')
  })

  test('may be as long as Linux lets them', () => {
    expect(isTooLong('n'.repeat(255))).toBe(false)
    expect(isTooLong('n'.repeat(256))).toBe(true)
    expect(isTooLong('deep/'.repeat(819))).toBe(false)
    expect(isTooLong('deep/'.repeat(820))).toBe(true)
  })
})
