import { execFileSync } from 'node:child_process'
import { closeSync, mkdtempSync, openSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type Geometry, growthLimit, metadataBytes, reachableBlocks, readGeometry } from './geometry.ts'

const MiB = 2 ** 20

let dir: string
let count = 0
beforeAll(() => {
  dir = mkdtempSync(join(tmpdir(), 'lamina-geometry-'))
})
afterAll(() => rmSync(dir, { recursive: true }))

const run = (tool: string, ...args: string[]): string => execFileSync(tool, args, { encoding: 'utf8', stdio: 'pipe' })

const made = (kibibytes: number, ...options: string[]): { path: string; geometry: Geometry } => {
  const path = join(dir, String(count++))
  run('truncate', '-s', `${kibibytes}K`, path)
  run('mkfs.ext3', '-F', '-q', ...options, path)
  return { path, geometry: geometryOf(path) }
}

const geometryOf = (path: string): Geometry => {
  const fd = openSync(path, 'r')
  try {
    return readGeometry(fd)
  } finally {
    closeSync(fd)
  }
}

const fourKiB = ['-b', '4096']

test('is what dumpe2fs tells', () => {
  const { path, geometry } = made(64 * 1024, '-b', '1024', '-i', '4096')
  const told = run('dumpe2fs', '-h', path)
  const value = (name: string) => Number(new RegExp(`^${name}: +(\\d+)`, 'm').exec(told)?.[1])
  expect(geometry).toEqual({
    blockSize: value('Block size'),
    blocks: value('Block count'),
    firstBlock: value('First block'),
    blocksPerGroup: value('Blocks per group'),
    tableBlocks: value('Inode blocks per group'),
    reservedDescriptorBlocks: value('Reserved GDT blocks'),
    journal: value('Total journal size') * 1024,
    sparse: true,
    metaBg: false,
  })
})

describe('the blocks that a file system has when it is as large as may be', () => {
  // Sizes around a group's end (128 MiB), where a rest too small for its own tables is left out.
  test.each([
    [128 * MiB, []],
    [128 * MiB + 4096, []],
    [129 * MiB, []],
    [128 * MiB + 8468 * 1024, []],
    [130 * MiB, ['-i', '65536']],
    [256 * MiB + 700 * 1024, ['-i', '1048576']],
    [384 * MiB + 2 * MiB, ['-i', '8192']],
  ])('in %d bytes with %j are those that mkfs and resize2fs make', (bytes, options) => {
    const whole = made(bytes / 1024, ...fourKiB, ...options)
    expect(reachableBlocks(whole.geometry, bytes)).toBe(whole.geometry.blocks)
    const grown = made(64 * 1024, ...fourKiB, ...options)
    run('truncate', '-s', String(bytes), grown.path)
    run('e2fsck', '-f', '-p', grown.path)
    run('resize2fs', grown.path)
    expect(reachableBlocks(grown.geometry, bytes)).toBe(geometryOf(grown.path).blocks)
  })
})

describe('the limit of growth', () => {
  test('is where the descriptors of the groups no longer fit behind the superblock', () => {
    const { geometry } = made(64 * 1024, ...fourKiB, '-E', 'resize=8388608')
    expect(growthLimit(geometry)).toBe(8388608)
  })

  test('is the next whole block of descriptors for one that was made without room for more', () => {
    const { geometry } = made(64 * 1024, ...fourKiB, '-O', '^resize_inode')
    expect(growthLimit(geometry) * 4096).toBe(16 * 2 ** 30)
  })

  test('is not there with meta_bg, which Apptainer accepts as well', () => {
    const { geometry } = made(64 * 1024, ...fourKiB, '-O', 'meta_bg,^resize_inode')
    expect(growthLimit(geometry)).toBe(Number.POSITIVE_INFINITY)
  })
})

test('metadata is at least what a new file system has in use, and not much more', () => {
  const { path, geometry } = made(512 * 1024, ...fourKiB)
  const [, free = ''] = /^Free blocks: +(\d+)/m.exec(run('dumpe2fs', '-h', path)) ?? []
  const used = (geometry.blocks - Number(free)) * geometry.blockSize
  const bound = metadataBytes(geometry, 512 * MiB)
  expect(bound).toBeGreaterThanOrEqual(used - 16 * 4096)
  expect(bound).toBeLessThan(used * 1.1)
})
