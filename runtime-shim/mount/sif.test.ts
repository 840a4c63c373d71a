import { closeSync, mkdtempSync, openSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { makeSif } from '../../test/node/images.ts'
import { readSifPartitions } from './sif.ts'

let dir: string
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'lamina-sif-'))
})
afterEach(() => rmSync(dir, { recursive: true }))

const partitionsOf = (path: string) => {
  const fd = openSync(path, 'r')
  try {
    return readSifPartitions(fd, statSync(path).size)
  } finally {
    closeSync(fd)
  }
}

const apptainers = readFileSync(join(import.meta.dirname, '../../test/fixtures/minimal.sif'))
const sif = (change: (bytes: Buffer) => Buffer | undefined): string => {
  const bytes = Buffer.from(apptainers)
  const path = join(dir, 'image.sif')
  writeFileSync(path, change(bytes) ?? bytes)
  return path
}

/** Where in the fixture: its third descriptor is the partition. */
const [table, partition] = [4096, 4096 + 2 * 585]

test('the partition of a SIF that Apptainer made is found where it lies', () => {
  expect(partitionsOf(sif(() => undefined))).toEqual([
    { extent: { offset: 36_864, size: 311_296 }, fileSystem: 'squashfs', role: 'primary', architecture: 'x64' },
  ])
})

test('other descriptors, and unused ones, are passed over', () => {
  expect(
    partitionsOf(
      sif((bytes) => {
        bytes.writeUInt8(0, partition + 4)
        return bytes
      }),
    ),
  ).toEqual([])
})

test('every partition is told with its kind, role and architecture', () => {
  const content = Buffer.alloc(10)
  const path = makeSif(join(dir, 'many.sif'), [
    { content, fileSystem: 1, role: 2, architecture: '04' },
    { content, fileSystem: 2, role: 4, gap: 7 },
    { content, fileSystem: 5, role: 1, architecture: '12' },
    { content, fileSystem: 77, role: 77, architecture: '77' },
  ])
  const start = 4096 + 4 * 585
  expect(partitionsOf(path)).toEqual([
    { extent: { offset: start, size: 10 }, fileSystem: 'squashfs', role: 'primary', architecture: 'arm64' },
    { extent: { offset: start + 17, size: 10 }, fileSystem: 'ext3', role: 'overlay', architecture: process.arch },
    {
      extent: { offset: start + 27, size: 10 },
      fileSystem: 'encrypted squashfs',
      role: 'system',
      architecture: 'riscv64',
    },
    { extent: { offset: start + 37, size: 10 }, fileSystem: 'unknown', role: 'unknown', architecture: 'unknown' },
  ])
})

describe('a file that is not all there, or lies, is refused', () => {
  const set = (offset: number, value: bigint) => (bytes: Buffer) => {
    bytes.writeBigInt64LE(value, offset)
    return bytes
  }
  test.each<[string, (bytes: Buffer) => Buffer, RegExp]>([
    ['a header that is cut off', (bytes) => bytes.subarray(0, 100), /SIF header is cut off/],
    ['a table that is cut off', (bytes) => bytes.subarray(0, 20_000), /descriptor table lies outside the file/],
    ['a partition that is cut off', (bytes) => bytes.subarray(0, 300_000), /partition lies outside the file/],
    ['a partition with a negative offset', set(partition + 17, -4096n), /partition lies outside/],
    ['a partition of negative size', set(partition + 25, -1n), /partition lies outside/],
    ['a partition past all numbers', set(partition + 25, 2n ** 63n - 1n), /partition lies outside/],
    ['a table before the file', set(96, -1n), /descriptor table lies outside/],
    ['a million descriptors', set(88, 1_000_000n), /number of descriptors lies outside/],
    ['fewer than no descriptors', set(88, -1n), /number of descriptors lies outside/],
    ['more descriptors than the table holds', set(104, 585n), /shorter than it says/],
    ['another version', (bytes) => bytes.fill('02', 42, 44), /SIF version "02/],
  ])('%s', (_what, change, words) => {
    expect(() => partitionsOf(sif(change))).toThrow(words)
  })

  test('a table of which nothing is used', () => {
    expect(partitionsOf(sif((bytes) => bytes.fill(0, table, table + 48 * 585)))).toEqual([])
  })
})
