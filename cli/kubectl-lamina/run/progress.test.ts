import { expect, test } from 'vitest'
import { createProgress } from './progress.ts'

const line = (mebibytes: number): string =>
  `the image is being fetched: downloaded ${mebibytes} MiB of 100 MiB (${mebibytes} %)`

test('a download tells its speed and what is left, once there is something to go by', () => {
  const progress = createProgress()
  expect(progress.words(line(10), 0)).toBe(line(10))
  expect(progress.words(line(12), 1_000)).toBe(line(12))
  expect(progress.words(line(30), 4_000)).toBe(`${line(30)}, 5.0 MiB/s, about 14s left`)
})

test('a download that stands still has no end to be told', () => {
  const progress = createProgress()
  progress.words(line(10), 0)
  expect(progress.words(line(10), 60_000)).toBe(line(10))
})

test('layers are counted in percent, and what is neither is said as it is', () => {
  const progress = createProgress()
  expect(progress.words('flattening layer 2 of 5', 0)).toBe('flattening layer 2 of 5 (20 %)')
  expect(progress.words('flattening layer 1 of 5 by plan', 0)).toBe('flattening layer 1 of 5 by plan (second pass)')
  expect(progress.words('overlay "dev": making an ext3 file system of 1024 MiB', 0)).toBe(
    'overlay "dev": making an ext3 file system of 1024 MiB',
  )
})
