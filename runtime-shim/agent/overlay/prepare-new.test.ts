import { execFileSync } from 'node:child_process'
import { closeSync, existsSync, openSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { editExt3 } from '../../../test/node/images.ts'
import { mountSmallDisk } from '../../../test/node/small-disk.ts'
import { lockImage } from '../../mount/lock.ts'
import { assertExt3 } from '../../mount/superblock.ts'
import type { Preparation } from './preparation.ts'
import { prepareOverlay } from './prepare.ts'
import { createWorkplace, superblockOf, type Workplace } from './testing/workplace.ts'

const MiB = 2 ** 20

let workplace: Workplace
let directory: string
let image: string
let lines: string[]
beforeEach(() => {
  workplace = createWorkplace()
  ;({ directory, image, lines } = workplace)
})
afterEach(() => workplace.close())

const prepare = (size: number, changes: Partial<Preparation> = {}) =>
  prepareOverlay(workplace.preparation({ size, made: existsSync(image), ...changes }))

const superblock = () => superblockOf(image)

const allocated = () => statSync(image).blocks * 512

describe('where there is no image', () => {
  test('makes an ext3 file system of the whole size, backed by real blocks', async () => {
    const { figures, checked } = await prepare(32 * MiB)
    expect(checked).toBe(false)
    expect(figures.blocks * figures.blockSize).toBe(32 * MiB)
    expect(figures).toMatchObject({ blockSize: 4096, needsRecovery: false, errorCount: 0 })
    assertExt3(superblock())
    expect(allocated()).toBeGreaterThanOrEqual(32 * MiB)
    expect(statSync(image)).toMatchObject({ size: 32 * MiB, uid: 0, gid: 0, mode: 0o100600 })
    expect(editExt3(image, 'stat <2>')).toMatch(/User: +0 +Group: +0/)
    expect(lines).toEqual(['overlay "work": making an ext3 file system of 32 MiB'])
  })

  test('makes it with the inodes and the reserve that are asked for', async () => {
    const { figures } = await prepare(64 * MiB, { ext3: { bytesPerInode: 4096, reservedPercent: 5 } })
    expect(figures.inodes).toBe(16_384)
    expect(execFileSync('dumpe2fs', ['-h', image], { stdio: 'pipe' }).toString()).toMatch(
      /^Reserved block count: +819$/m,
    )
    assertExt3(superblock())
  })

  test('makes it with enough inodes to be mounted, however few are asked for', async () => {
    const { figures } = await prepare(20 * MiB, { ext3: { bytesPerInode: 4 * MiB } })
    expect(figures.inodes).toBeGreaterThanOrEqual(256)
    expect(figures.inodes).toBeLessThan(512)
    rmSync(image)
    expect((await prepare(2048 * MiB, { ext3: { bytesPerInode: 4 * MiB, allocation: 'Sparse' } })).figures.inodes).toBe(
      512,
    )
  })

  test('sparse, takes blocks only as they are written', async () => {
    const { figures } = await prepare(256 * MiB, { ext3: { allocation: 'Sparse' } })
    expect(figures.blocks * figures.blockSize).toBe(256 * MiB)
    expect(statSync(image).size).toBe(256 * MiB)
    expect(allocated()).toBeLessThan(20 * MiB)
  })

  test('removes what an earlier try left behind', async () => {
    writeFileSync(join(directory, '.overlay.img.new-4711'), 'half')
    await prepare(16 * MiB)
    expect(readdirSync(directory)).toEqual(['overlay.img'])
  })

  test('waits while another node, or a tool that has outlived its agent, is making it', async () => {
    const theirs = join(directory, '.overlay.img.new-theirs')
    const fd = openSync(theirs, 'w+')
    try {
      lockImage(fd, 'exclusive', theirs)
      await expect(prepare(16 * MiB)).rejects.toMatchObject({
        reason: 'OverlayInUse',
        message: 'overlay "work": another preparation of its image is under way',
      })
      expect(readdirSync(directory)).toEqual(['.overlay.img.new-theirs'])
    } finally {
      closeSync(fd)
    }
    await prepare(16 * MiB)
    expect(readdirSync(directory)).toEqual(['overlay.img'])
  })

  test('needs room in the volume, says how much, leaves nothing, and succeeds once there is room', async () => {
    const unmount = mountSmallDisk(directory, 24)
    try {
      writeFileSync(join(directory, 'ballast'), Buffer.alloc(8 * MiB))
      await expect(prepare(16 * MiB)).rejects.toMatchObject({
        reason: 'OverlayNoSpace',
        message: expect.stringMatching(
          /^overlay "work" needs 16 MiB more in its volume, and \d+ MiB are free: make room/,
        ),
      })
      expect(readdirSync(directory)).toEqual(['ballast', 'lost+found'])
      rmSync(join(directory, 'ballast'))
      await prepare(16 * MiB)
      expect(superblock().blocks * superblock().blockSize).toBe(16 * MiB)
    } finally {
      unmount()
    }
  })

  test('sparse, on a disk that fills up meanwhile, leaves nothing', async () => {
    const unmount = mountSmallDisk(directory, 24)
    try {
      await expect(prepare(1024 * MiB, { ext3: { allocation: 'Sparse' } })).rejects.toMatchObject({
        reason: 'OverlayNoSpace',
        message: expect.stringMatching(/^overlay "work" needs room in its volume, and \d+ MiB are free/),
      })
      expect(readdirSync(directory)).toEqual(['lost+found'])
    } finally {
      unmount()
    }
  })
})

describe('an image that is gone', () => {
  test('although one was made, is not made anew: its data would seem to have been lost', async () => {
    await expect(prepare(16 * MiB, { made: true })).rejects.toMatchObject({
      reason: 'OverlayMissing',
      message: expect.stringMatching(/^overlay "work" has no overlay.img.*restore it from a backup/),
    })
    expect(readdirSync(directory)).toEqual([])
  })

  test('from an existing claim, was never to be made by us', async () => {
    await expect(prepare(16 * MiB, { existing: true })).rejects.toMatchObject({ reason: 'OverlayMissing' })
    expect(readdirSync(directory)).toEqual([])
  })

  test('from where the spec says that it is, is not made', async () => {
    await expect(prepare(16 * MiB, { existing: true, path: 'tools/a.img' })).rejects.toMatchObject({
      reason: 'OverlayMissing',
      message: expect.stringMatching(/there is no tools\/a.img in its volume: correct spec.storage.path/),
    })
  })
})
