import { execFileSync } from 'node:child_process'
import { chmodSync, chownSync, closeSync, existsSync, openSync, readFileSync, statSync, truncateSync } from 'node:fs'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { editExt3, makeVolume } from '../../../test/node/images.ts'
import { mountSmallDisk } from '../../../test/node/small-disk.ts'
import { lockImage } from '../../mount/lock.ts'
import { assertExt3 } from '../../mount/superblock.ts'
import type { Preparation } from './preparation.ts'
import { prepareOverlay } from './prepare.ts'
import { createWorkplace, superblockOf, type Workplace } from './testing/workplace.ts'
import { runTool } from './tools.ts'

const MiB = 2 ** 20

let workplace: Workplace
let dir: string
let directory: string
let image: string
let lines: string[]
beforeEach(() => {
  workplace = createWorkplace()
  ;({ dir, directory, image, lines } = workplace)
})
afterEach(() => workplace.close())

const prepare = (size: number, changes: Partial<Preparation> = {}) =>
  prepareOverlay(workplace.preparation({ size, made: existsSync(image), ...changes }))

const superblock = () => superblockOf(image)

const allocated = () => statSync(image).blocks * 512

describe('an image that is there', () => {
  test('stays as it is when it is large enough', async () => {
    await prepare(16 * MiB)
    const before = readFileSync(image)
    expect(await prepare(16 * MiB)).toMatchObject({ checked: false })
    expect(await prepare(8 * MiB)).toMatchObject({ checked: false })
    expect(readFileSync(image).equals(before)).toBe(true)
  })

  test('grows with what is in it, is checked before, and stays ext3', async () => {
    workplace.volumeWith(16)
    const { figures, checked } = await prepare(96 * MiB)
    expect(checked).toBe(true)
    expect(figures.blocks * figures.blockSize).toBe(96 * MiB)
    assertExt3(superblock())
    expect(allocated()).toBeGreaterThanOrEqual(96 * MiB)
    expect(workplace.kept()).toBe(readFileSync('/etc/hostname', 'utf8'))
    execFileSync('e2fsck', ['-f', '-n', image], { stdio: 'pipe' })
    expect(lines).toContain('overlay "work": growing to 96 MiB')
  })

  test('whose growth was cut off after the file grew is grown', async () => {
    workplace.volumeWith(16)
    truncateSync(image, 64 * MiB)
    const { figures } = await prepare(64 * MiB)
    expect(figures.blocks * figures.blockSize).toBe(64 * MiB)
  })

  test('that is sparse gets its blocks, before anything is written in it', async () => {
    workplace.volumeWith(32)
    expect(allocated()).toBeLessThan(16 * MiB)
    await prepare(32 * MiB)
    expect(allocated()).toBeGreaterThanOrEqual(32 * MiB)
    expect(workplace.kept()).toBe(readFileSync('/etc/hostname', 'utf8'))
  })

  test('that is sparse on a full disk is not touched, and it is said what is missing', async () => {
    const unmount = mountSmallDisk(directory, 24)
    try {
      const staging = makeVolume(join(dir, 'staging'), 32)
      execFileSync('cp', ['--sparse=always', join(staging, 'overlay.img'), image])
      editExt3(image, 'set_super_value error_count 1')
      await expect(prepare(32 * MiB)).rejects.toMatchObject({ reason: 'OverlayNoSpace' })
      expect(superblock().errorCount).toBe(1)
    } finally {
      unmount()
    }
  })

  test('that is to be sparse grows without taking the blocks, if the tools have room', async () => {
    const ext3 = { allocation: 'Sparse' } as const
    await prepare(64 * MiB, { ext3 })
    const unmount = mountSmallDisk(join(dir, 'small'), 48)
    try {
      const small = { volume: { kind: 'directory', path: join(dir, 'small') }, ext3 } as const
      execFileSync('cp', ['--sparse=always', image, join(dir, 'small', 'overlay.img')])
      await prepare(512 * MiB, small)
      expect(superblockOf(join(dir, 'small', 'overlay.img')).blocks * 4096).toBe(512 * MiB)
      await expect(prepare(16_384 * MiB, small)).rejects.toMatchObject({ reason: 'OverlayNoSpace' })
      expect(superblockOf(join(dir, 'small', 'overlay.img')).blocks * 4096).toBe(512 * MiB)
      expect(statSync(join(dir, 'small', 'overlay.img')).size).toBe(512 * MiB)
    } finally {
      unmount()
    }
  })

  test('for whose growth there is no room stays as it is, to the byte', async () => {
    const unmount = mountSmallDisk(directory, 48)
    try {
      await prepare(16 * MiB)
      const before = readFileSync(image)
      await expect(prepare(64 * MiB)).rejects.toMatchObject({ reason: 'OverlayNoSpace' })
      expect(readFileSync(image).equals(before)).toBe(true)
    } finally {
      unmount()
    }
  })

  test('that was made to grow less far is refused, in words', async () => {
    workplace.volumeWith(16, '-b', '4096', '-E', 'resize=65536')
    await expect(prepare(32_768 * MiB, { ext3: { allocation: 'Sparse' } })).rejects.toMatchObject({
      reason: 'OverlayTooSmall',
      message:
        'overlay "work" was made to grow to 16384 MiB at most, and 32768 MiB are asked for: make a larger overlay and copy what you need',
    })
    expect(superblock().blocks * 4096).toBe(16 * MiB)
  })

  test('in which the kernel noted errors is checked, and then has none noted', async () => {
    workplace.volumeWith(16)
    editExt3(image, 'set_super_value error_count 3', 'set_super_value state 2')
    const { figures, checked } = await prepare(16 * MiB)
    expect(checked).toBe(true)
    expect(figures.errorCount).toBe(0)
    expect(lines.slice(0, -1)).toEqual(['overlay "work": checking the file system'])
    expect(workplace.kept()).toBe(readFileSync('/etc/hostname', 'utf8'))
  })

  test('that another mount uses is left alone', async () => {
    workplace.volumeWith(16)
    const fd = openSync(image, 'r+')
    try {
      lockImage(fd, 'shared', image)
      await expect(prepare(32 * MiB)).rejects.toMatchObject({
        reason: 'OverlayInUse',
        message: 'overlay "work": overlay.img in its volume is in use by another mount on this node',
      })
      expect(statSync(image).size).toBe(16 * MiB)
    } finally {
      closeSync(fd)
    }
  })
})

test('an image that a cut-off tool has left to nobody is taken from him', async () => {
  await prepare(16 * MiB)
  chownSync(image, 65_534, 65_534)
  await prepare(16 * MiB)
  expect(statSync(image)).toMatchObject({ uid: 0, gid: 0 })
})

/** Who it is, and what he may. */
const rightsOf = (path: string) => {
  const { uid, gid, mode } = statSync(path)
  return { uid, gid, mode: (mode & 0o7777).toString(8) }
}

describe('a file that its owner may not write', () => {
  test.each(['444', '400', '0'])('is checked and grows, and keeps its mode: %s', async (mode) => {
    await prepare(16 * MiB)
    chmodSync(image, Number.parseInt(mode, 8))
    chownSync(image, 1000, 1001)
    const { figures, damaged } = await prepare(64 * MiB)
    expect({ damaged, size: figures.blocks * figures.blockSize }).toEqual({ damaged: undefined, size: 64 * MiB })
    expect(rightsOf(image)).toEqual({ uid: 1000, gid: 1001, mode })
  })

  test('is checked when it has come with a claim: an image, or a SIF with an overlay', async () => {
    workplace.volumeWith(16)
    chmodSync(image, 0o444)
    expect(await prepare(16 * MiB, { existing: true, made: false })).toMatchObject({ checked: true })
    expect(rightsOf(image)).toEqual({ uid: 0, gid: 0, mode: '444' })
    const sif = join(directory, 'minimal.sif')
    execFileSync('zstd', [
      '-dq',
      '-o',
      sif,
      join(import.meta.dirname, '../../../test/fixtures/minimal-overlay.sif.zst'),
    ])
    chmodSync(sif, 0o555)
    const prepared = await prepare(16 * MiB, { existing: true, made: false, path: 'minimal.sif' })
    expect(prepared).toMatchObject({ checked: true })
    expect(rightsOf(sif)).toEqual({ uid: 0, gid: 0, mode: '555' })
  })

  test('has its mode again after a tool was cut off', async () => {
    await prepare(16 * MiB)
    chownSync(image, 65_534, 65_534)
    chmodSync(image, 0o1644)
    await prepare(16 * MiB)
    expect(rightsOf(image)).toEqual({ uid: 0, gid: 0, mode: '444' })
  })

  test('is lent with the mark by which that is known', async () => {
    await prepare(16 * MiB)
    chmodSync(image, 0o444)
    const fd = openSync(image, 'r+')
    try {
      const seen: unknown[] = []
      const look = () => void seen.push(rightsOf(image))
      await runTool({ fd }, { tool: 'e2fsck', options: ['-f', '-n'], onLine: look })
      expect(seen[0]).toEqual({ uid: 65_534, gid: 65_534, mode: '1644' })
      expect(rightsOf(image)).toMatchObject({ uid: 0, mode: '444' })
    } finally {
      closeSync(fd)
    }
  })
})

describe('on a claim that Lamina did not make', () => {
  test('what is gone is to be restored; the claim is not to be deleted', async () => {
    const { message } = await prepare(16 * MiB, { existing: true, made: true }).catch((error) => error)
    expect(message).toMatch(/although one was there: restore it from a backup, or make another overlay$/)
  })

  test('an image keeps its size', async () => {
    workplace.volumeWith(16)
    const { figures } = await prepare(64 * MiB, { existing: true, made: false })
    expect(figures.blocks * figures.blockSize).toBe(16 * MiB)
    expect(statSync(image).size).toBe(16 * MiB)
  })

  test('an image may lie in a folder of the volume', async () => {
    makeVolume(join(directory, 'tools'))
    expect(await prepare(64 * MiB, { existing: true, path: 'tools/overlay.img' })).toMatchObject({ checked: true })
    await expect(prepare(64 * MiB, { existing: true, path: '../volume/tools/overlay.img' })).rejects.toMatchObject({
      reason: 'OverlayUnsafe',
    })
  })
})

describe('for a reader', () => {
  test('a missing image is made', async () => {
    const { figures } = await prepare(16 * MiB, { access: 'ReadOnly' })
    expect(figures.blocks * figures.blockSize).toBe(16 * MiB)
    expect(lines).toEqual(['overlay "work": making an ext3 file system of 16 MiB'])
  })

  test('one that is there stays as it is, in use or not: neither grown nor checked', async () => {
    workplace.volumeWith(16)
    editExt3(image, 'set_super_value error_count 3')
    const before = readFileSync(image)
    const fd = openSync(image, 'r+')
    try {
      lockImage(fd, 'shared', image)
      expect(await prepare(64 * MiB, { access: 'ReadOnly' })).toMatchObject({
        checked: false,
        figures: { errorCount: 3 },
      })
    } finally {
      closeSync(fd)
    }
    expect(readFileSync(image).equals(before)).toBe(true)
    expect(lines).toEqual([])
  })
})
