import { execFileSync } from 'node:child_process'
import {
  chownSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { editExt3, makeVolume } from '../../../test/node/images.ts'
import type { Preparation } from './preparation.ts'
import { prepareOverlay } from './prepare.ts'
import { createWorkplace, type Workplace } from './testing/workplace.ts'

const MiB = 2 ** 20

let workplace: Workplace
let dir: string
let directory: string
let image: string
beforeEach(() => {
  workplace = createWorkplace()
  ;({ dir, directory, image } = workplace)
})
afterEach(() => workplace.close())

const prepare = (size: number, changes: Partial<Preparation> = {}) =>
  prepareOverlay(workplace.preparation({ size, made: existsSync(image), ...changes }))

test('an image that another node has made meanwhile is taken as one that was found', async () => {
  const theirs = join(makeVolume(join(dir, 'theirs'), 24), 'overlay.img')
  editExt3(theirs, 'mkdir upper', 'write /etc/hostname upper/kept', 'write /dev/null upper/.wh.gone')
  let isFirst = true
  const onProgress = (): void => {
    if (isFirst) copyFileSync(theirs, image)
    isFirst = false
  }
  const { figures, checked } = await prepare(16 * MiB, { onProgress })
  expect([checked, figures.blocks * figures.blockSize]).toEqual([true, 24 * MiB])
  expect(workplace.kept()).toBe(readFileSync('/etc/hostname', 'utf8'))
  expect(editExt3(image, 'ls -p upper')).toContain('/gone/')
  expect(readdirSync(directory)).toEqual(['overlay.img'])
})

describe('an image that a user copies to its place', () => {
  const beginCopy = (bytes: number): Buffer => {
    workplace.volumeWith(16)
    const whole = readFileSync(image)
    writeFileSync(image, whole.subarray(0, bytes))
    return whole
  }
  const later = { made: false, existing: true, stillAfterMs: 60_000 }

  test.each([
    ['nothing', 0],
    ['not its superblock', 1024],
    ['half', 8 * MiB],
  ])('is waited for while %s is there, and left as it is', async (_, bytes) => {
    const whole = beginCopy(bytes)
    await expect(prepare(16 * MiB, later)).rejects.toMatchObject({
      reason: 'OverlayIncomplete',
      message: expect.stringMatching(/is not an overlay yet .* taken when it is whole. If nothing copies one: name in/),
    })
    expect(readFileSync(image)).toEqual(whole.subarray(0, bytes))
    writeFileSync(image, whole)
    await prepare(16 * MiB, { ...later, stillAfterMs: 0 })
    expect(workplace.kept()).toBe(readFileSync('/etc/hostname', 'utf8'))
  })

  test.each(['ReadWrite', 'ReadOnly'] as const)(
    'is left as it is, to the byte and the inode, while it is written to although its superblock is right (%s)',
    async (access) => {
      workplace.volumeWith(16)
      chownSync(image, 65_534, 65_534)
      editExt3(image, 'set_super_value error_count 3', 'set_super_value state 2')
      const [before, { ctimeMs }] = [readFileSync(image), statSync(image)]
      await expect(prepare(16 * MiB, { ...later, access })).rejects.toMatchObject({
        reason: 'OverlayIncomplete',
        message: expect.stringMatching(
          /looks like an overlay, but may not be whole yet, and something has written to it/,
        ),
      })
      expect(readFileSync(image).equals(before)).toBe(true)
      expect(statSync(image).ctimeMs).toBe(ctimeMs)
      expect(await prepare(16 * MiB, { ...later, access, stillAfterMs: 0 })).toMatchObject({ checked: true })
    },
  )

  test('is written to at once where it has been taken before', async () => {
    workplace.volumeWith(16)
    editExt3(image, 'set_super_value error_count 3', 'set_super_value state 2')
    expect(await prepare(16 * MiB, { ...later, made: true })).toMatchObject({ checked: true })
  })

  test('is waited for no more when nothing has been written to it for a while', async () => {
    beginCopy(8 * MiB)
    await expect(prepare(16 * MiB, { ...later, stillAfterMs: 0 })).rejects.toMatchObject({ reason: 'OverlayNotExt3' })
  })

  test('is lost, and not on its way, where it has been taken before', async () => {
    beginCopy(8 * MiB)
    await expect(prepare(16 * MiB, { ...later, made: true })).rejects.toMatchObject({ reason: 'OverlayNotExt3' })
  })
})

describe('never formats what is there', () => {
  test.each([
    ['an empty file', () => writeFileSync(image, '')],
    ["a user's file", () => writeFileSync(image, 'my only copy')],
    ['an ext4 file system', () => workplace.volumeWith(16, '-O', 'extent')],
    [
      'an ext2 file system',
      () => {
        workplace.volumeWith(16)
        execFileSync('tune2fs', ['-O', '^has_journal', image])
      },
    ],
  ])('%s', async (_what, make) => {
    make()
    const before = readFileSync(image)
    await expect(prepare(32 * MiB)).rejects.toMatchObject({
      reason: 'OverlayNotExt3',
      message: expect.stringMatching(/it is left as it is: restore it from a backup/),
    })
    await expect(prepare(32 * MiB, { made: false })).rejects.toMatchObject({
      message: expect.stringMatching(/it is left as it is: move it away to have a new one made$/),
    })
    const { message } = await prepare(32 * MiB, { made: false, existing: true }).catch((error) => error)
    expect(message).toMatch(/it is left as it is: name in a new overlay \(storage.path\) an ext3 image/)
    expect(readFileSync(image).equals(before)).toBe(true)
  })

  test.each([
    ['a FIFO', () => execFileSync('mkfifo', [image])],
    ['a link to a device', () => symlinkSync('/dev/null', image)],
  ])('%s', async (_what, make) => {
    make()
    await expect(prepare(16 * MiB)).rejects.toMatchObject({ reason: 'OverlayUnsafe' })
  })

  test('a directory', async () => {
    mkdirSync(image)
    await expect(prepare(16 * MiB)).rejects.toMatchObject({ reason: 'OverlayReadOnly' })
  })
})
