import { execFileSync } from 'node:child_process'
import {
  chownSync,
  closeSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { editExt3, makeVolume } from '../../../test/node/images.ts'
import { mountSmallDisk } from '../../../test/node/small-disk.ts'
import { lockImage } from '../../mount/lock.ts'
import { assertExt3 } from '../../mount/superblock.ts'
import type { Preparation } from './preparation.ts'
import { prepareOverlay } from './prepare.ts'
import { createWorkplace, superblockOf, type Workplace } from './testing/workplace.ts'

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

/** Removes it and makes one with a file in it. */
const volumeWith = (mebibytes: number, ...options: string[]) => {
  rmSync(directory, { recursive: true })
  makeVolume(directory, mebibytes, ...options)
  editExt3(image, 'mkdir upper', 'write /etc/hostname upper/kept')
}
const kept = () => editExt3(image, 'cat upper/kept')

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

describe('an image that is there', () => {
  test('stays as it is when it is large enough', async () => {
    await prepare(16 * MiB)
    const before = readFileSync(image)
    expect(await prepare(16 * MiB)).toMatchObject({ checked: false })
    expect(await prepare(8 * MiB)).toMatchObject({ checked: false })
    expect(readFileSync(image).equals(before)).toBe(true)
  })

  test('grows with what is in it, is checked before, and stays ext3', async () => {
    volumeWith(16)
    const { figures, checked } = await prepare(96 * MiB)
    expect(checked).toBe(true)
    expect(figures.blocks * figures.blockSize).toBe(96 * MiB)
    assertExt3(superblock())
    expect(allocated()).toBeGreaterThanOrEqual(96 * MiB)
    expect(kept()).toBe(readFileSync('/etc/hostname', 'utf8'))
    execFileSync('e2fsck', ['-f', '-n', image], { stdio: 'pipe' })
    expect(lines).toContain('overlay "work": growing to 96 MiB')
  })

  test('whose growth was cut off after the file grew is grown', async () => {
    volumeWith(16)
    truncateSync(image, 64 * MiB)
    const { figures } = await prepare(64 * MiB)
    expect(figures.blocks * figures.blockSize).toBe(64 * MiB)
  })

  test('that is sparse gets its blocks, before anything is written in it', async () => {
    volumeWith(32)
    expect(allocated()).toBeLessThan(16 * MiB)
    await prepare(32 * MiB)
    expect(allocated()).toBeGreaterThanOrEqual(32 * MiB)
    expect(kept()).toBe(readFileSync('/etc/hostname', 'utf8'))
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
    volumeWith(16, '-b', '4096', '-E', 'resize=65536')
    await expect(prepare(32_768 * MiB, { ext3: { allocation: 'Sparse' } })).rejects.toMatchObject({
      reason: 'OverlayTooSmall',
      message:
        'overlay "work" was made to grow to 16384 MiB at most, and 32768 MiB are asked for: make a larger overlay and copy what you need',
    })
    expect(superblock().blocks * 4096).toBe(16 * MiB)
  })

  test('in which the kernel noted errors is checked, and then has none noted', async () => {
    volumeWith(16)
    editExt3(image, 'set_super_value error_count 3', 'set_super_value state 2')
    const { figures, checked } = await prepare(16 * MiB)
    expect(checked).toBe(true)
    expect(figures.errorCount).toBe(0)
    expect(lines).toContain('overlay "work": checking the file system')
    expect(kept()).toBe(readFileSync('/etc/hostname', 'utf8'))
  })

  test('that another mount uses is left alone', async () => {
    volumeWith(16)
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

describe('on a claim that Lamina did not make', () => {
  test('what is gone is to be restored; the claim is not to be deleted', async () => {
    const { message } = await prepare(16 * MiB, { existing: true, made: true }).catch((error) => error)
    expect(message).toMatch(/although one was there: restore it from a backup, or make another overlay$/)
  })

  test('an image keeps its size', async () => {
    volumeWith(16)
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
    volumeWith(16)
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
  expect(kept()).toBe(readFileSync('/etc/hostname', 'utf8'))
  expect(editExt3(image, 'ls -p upper')).toContain('/gone/')
  expect(readdirSync(directory)).toEqual(['overlay.img'])
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

describe('an image that a user copies to its place', () => {
  const beginCopy = (bytes: number): Buffer => {
    volumeWith(16)
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
    expect(kept()).toBe(readFileSync('/etc/hostname', 'utf8'))
  })

  test.each(['ReadWrite', 'ReadOnly'] as const)(
    'is left as it is, to the byte and the inode, while it is written to although its superblock is right (%s)',
    async (access) => {
      volumeWith(16)
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
    volumeWith(16)
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
    ['an ext4 file system', () => volumeWith(16, '-O', 'extent')],
    [
      'an ext2 file system',
      () => {
        volumeWith(16)
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
