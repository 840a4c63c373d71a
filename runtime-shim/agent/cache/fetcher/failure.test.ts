import { expect, test } from 'vitest'
import { CacheFullError, ConversionError, FileError, NoSpaceError, RegistryError } from '../../../image/errors.ts'
import { errorOf, failureOf } from './failure.ts'
import { failureSchema } from './protocol.ts'

const disk = { path: '/cache', needed: 5 * 2 ** 20, free: 3 * 2 ** 20 }
const errors: readonly Error[] = [
  new NoSpaceError({ ...disk, keepFree: 2 ** 20 }),
  new NoSpaceError({ ...disk, soFar: true }),
  new CacheFullError({ needed: 10, most: 4 }),
  new CacheFullError({ needed: 10, most: 4, soFar: true }),
  new RegistryError('Refused', 'no signature'),
  new FileError('Mismatch', 'another sum'),
  new ConversionError('it is none'),
  Object.assign(new Error('no space left on device'), { code: 'ENOSPC' }),
]

test.each(errors)('%s is in the other process what it was', (error) => {
  const line = JSON.stringify(failureOf(error))
  const again = errorOf(failureSchema.parse(JSON.parse(line)))
  expect(again).toEqual(error)
  expect(again.constructor).toBe(error.constructor)
})

test('others are nothing that anybody looks at', () => {
  expect(failureOf(new Error('lost'))).toBeUndefined()
  expect(failureOf('lost')).toBeUndefined()
})
