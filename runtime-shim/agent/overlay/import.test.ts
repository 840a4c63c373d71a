import { execFileSync } from 'node:child_process'
import {
  closeSync,
  lstatSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  rmSync,
  statfsSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { zstdDecompressSync } from 'node:zlib'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { editExt3, makeExt3, makeSif, makeSquashfs, smallBase } from '../../../test/node/images.ts'
import { mountSmallDisk } from '../../../test/node/small-disk.ts'
import { lockImage } from '../../mount/lock.ts'
import { getXattr, setXattr } from '../../mount/syscalls.ts'
import type { Preparation } from './preparation.ts'
import { prepareOverlay } from './prepare.ts'
import { createWorkplace, makeBlockVolume, superblockOf, type Workplace } from './testing/workplace.ts'

const MiB = 2 ** 20

let workplace: Workplace
let image: string
beforeEach(() => {
  workplace = createWorkplace()
  image = workplace.image
})
afterEach(() => workplace.close())

/** As the agent finds it: nothing is known of it yet. */
const prepare = (changes: Partial<Preparation> = {}) =>
  prepareOverlay(workplace.preparation({ existing: true, ...changes }))

const mounted = <T>(file: string, act: (at: string) => T, options = 'loop'): T => {
  const at = join(workplace.dir, 'mounted')
  mkdirSync(at, { recursive: true })
  execFileSync('mount', ['-o', options, file, at])
  try {
    return act(at)
  } finally {
    execFileSync('umount', [at])
  }
}

/** What fuse-overlayfs may leave: a deleted file, a directory made anew, and an ordinary file. */
const writeAsFuseOverlayfs = (top: string): void => {
  for (const dir of ['upper/etc', 'upper/opt', 'work']) mkdirSync(join(top, dir), { recursive: true })
  writeFileSync(join(top, 'upper/etc/.wh.motd'), '')
  writeFileSync(join(top, 'upper/etc/hostname'), 'kept\n')
  setXattr(Buffer.from(join(top, 'upper/opt')), 'user.fuseoverlayfs.opaque', Buffer.from('y'))
}

const foreignImage = (path = image): string => {
  makeExt3(path, 24)
  mounted(path, writeAsFuseOverlayfs)
  return path
}

const expectNative = (top: string): void => {
  expect(readdirSync(join(top, 'upper/etc')).toSorted()).toEqual(['hostname', 'motd'])
  const whiteout = lstatSync(join(top, 'upper/etc/motd'))
  expect([whiteout.isCharacterDevice(), whiteout.rdev]).toEqual([true, 0])
  expect(String(getXattr(Buffer.from(join(top, 'upper/opt')), 'trusted.overlay.opaque'))).toBe('y')
  expect(readFileSync(join(top, 'upper/etc/hostname'), 'utf8')).toBe('kept\n')
  expect(JSON.parse(readFileSync(join(top, 'lamina.json'), 'utf8'))).toEqual({ normalised: true })
}

/** Loop devices of files in the test's folder. */
const loops = (): string =>
  execFileSync('losetup', ['--list', '--noheadings', '--output', 'BACK-FILE'], { encoding: 'utf8' })

describe('an image that another tool wrote', () => {
  test.each(['ReadWrite', 'ReadOnly'] as const)(
    'is checked as a whole, and what was deleted in it is written as the kernel knows it (%s)',
    async (access) => {
      foreignImage()
      expect(await prepare({ access })).toMatchObject({
        checked: true,
        figures: { errorCount: 0, needsRecovery: false },
      })
      expect(workplace.lines).toContain('overlay "work": marks of deleted files rewritten as the kernel knows them: 2')
      mounted(image, expectNative, 'loop,ro')
      execFileSync('e2fsck', ['-f', '-n', image], { stdio: 'pipe' })
      expect(loops()).not.toContain(workplace.dir)
    },
  )

  test('is left with its lock free', async () => {
    foreignImage()
    await prepare({ access: 'ReadOnly' })
    const fd = openSync(image, 'r+')
    lockImage(fd, 'exclusive', image)
    closeSync(fd)
  })

  test('is taken over also when it was damaged at first, and somebody has mended it', async () => {
    foreignImage()
    editExt3(image, 'clri <2>')
    expect((await prepare()).damaged).toBeDefined()
    rmSync(image)
    foreignImage()
    expect(await prepare({ made: true, wasDamaged: true })).toMatchObject({ checked: true })
    mounted(image, expectNative, 'loop,ro')
  })

  test('is grown first where it is on a claim of ours', async () => {
    foreignImage()
    const { figures } = await prepare({ existing: false, size: 96 * MiB })
    expect(figures.blocks * figures.blockSize).toBe(96 * MiB)
    mounted(image, expectNative, 'loop,ro')
  })

  test('that a reader has mounted already stays as it is for the next one, and does not count as taken over', async () => {
    foreignImage()
    const before = readFileSync(image)
    const fd = openSync(image, 'r')
    try {
      lockImage(fd, 'shared', image)
      expect(await prepare({ access: 'ReadOnly' })).toMatchObject({ checked: false, inUse: true })
    } finally {
      closeSync(fd)
    }
    expect(readFileSync(image).equals(before)).toBe(true)
  })

  test('with what has no equal in the kernel is refused, by the name of it', async () => {
    makeExt3(image)
    mounted(image, (top) => {
      writeAsFuseOverlayfs(top)
      setXattr(Buffer.from(join(top, 'upper/etc')), 'user.overlay.redirect', Buffer.from('/usr'))
    })
    await expect(prepare()).rejects.toMatchObject({
      reason: 'OverlayNotImported',
      message: expect.stringMatching(
        /^overlay "work" cannot be taken over as it is: etc: the attribute user.overlay.redirect/,
      ),
    })
    mounted(image, (top) => expect(readdirSync(join(top, 'upper/etc')).toSorted()).toEqual(['.wh.motd', 'hostname']))
  })

  test('that is full is refused in words, and taken over once it has room', async () => {
    foreignImage()
    mounted(image, (top) => {
      mkdirSync(join(top, 'upper/many'))
      for (let index = 0; index < 40; index += 1) writeFileSync(join(top, `upper/many/.wh.${index}`), '')
      // Every inode is a file's: a whiteout needs one more for a moment.
      for (let index = 0; statfsSync(top).ffree > 0; index += 1) writeFileSync(join(top, `upper/${index}`), '')
    })
    await expect(prepare()).rejects.toMatchObject({ reason: 'OverlayNoSpace' })
    mounted(image, (top) => rmSync(join(top, 'upper/0')))
    await prepare()
    mounted(image, (top) => expect(lstatSync(join(top, 'upper/many/0')).isCharacterDevice()).toBe(true), 'loop,ro')
  })

  test('on a full disk, sparse, is not touched', async () => {
    const unmount = mountSmallDisk(workplace.directory, 24)
    try {
      const staging = foreignImage(join(workplace.dir, 'staging.img'))
      execFileSync('cp', ['--sparse=always', staging, image])
      execFileSync('fallocate', ['--length', '7M', join(workplace.directory, 'ballast')])
      const before = readFileSync(image)
      await expect(prepare()).rejects.toMatchObject({ reason: 'OverlayNoSpace' })
      expect(readFileSync(image).equals(before)).toBe(true)
    } finally {
      unmount()
    }
  })
})

test('an image of ours is known by its record, and not looked through', async () => {
  makeExt3(image)
  mounted(image, (top) => {
    writeAsFuseOverlayfs(top)
    writeFileSync(join(top, 'lamina.json'), '{"base":{"reference":"a@sha256:0","digest":"sha256:0"},"normalised":true}')
  })
  expect(await prepare()).toMatchObject({ checked: true })
  mounted(image, (top) => expect(readdirSync(join(top, 'upper/etc'))).toContain('.wh.motd'), 'loop,ro')
})

test('a block volume that another tool wrote is taken over', async () => {
  const device = makeBlockVolume(join(workplace.dir, 'device'), 32)
  try {
    execFileSync('mkfs.ext3', ['-q', device.mapPath])
    mounted(device.mapPath, writeAsFuseOverlayfs, 'defaults')
    expect(await prepare({ volume: device })).toMatchObject({ checked: true })
    mounted(device.mapPath, expectNative, 'ro')
  } finally {
    device.detach()
  }
})

describe('a SIF with an overlay partition', () => {
  const makeOverlaySif = (gap: number): number => {
    const content = readFileSync(foreignImage(join(workplace.dir, 'partition.img')))
    const system = readFileSync(makeSquashfs(join(workplace.dir, 'system'), smallBase))
    makeSif(join(workplace.directory, 'tools.sif'), [
      { content: system, fileSystem: 1, role: 2 },
      { content, fileSystem: 2, role: 4, gap },
      { content: Buffer.from('what follows it'), fileSystem: 4, role: 3 },
    ])
    return content.length
  }
  const sif = () => join(workplace.directory, 'tools.sif')
  const offsetOf = (size: number): number => readFileSync(sif()).length - size - 'what follows it'.length

  test.each([0, 4096 - 2 * 585])(
    'is checked and taken over where it lies, and nothing beside it changes (gap %d)',
    async (gap) => {
      const size = makeOverlaySif(gap)
      const offset = offsetOf(size)
      const before = readFileSync(sif())
      const { figures, checked } = await prepare({ path: 'tools.sif', size: 96 * MiB })
      expect(checked).toBe(true)
      expect(figures.blocks * figures.blockSize).toBe(size)
      const after = readFileSync(sif())
      expect(after.length).toBe(before.length)
      expect(after.subarray(0, offset).equals(before.subarray(0, offset))).toBe(true)
      expect(after.subarray(offset + size).equals(before.subarray(offset + size))).toBe(true)
      mounted(sif(), expectNative, `loop,ro,offset=${offset},sizelimit=${size}`)
    },
  )

  test('in error is mended there', async () => {
    const size = makeOverlaySif(0)
    const partition = join(workplace.dir, 'partition.img')
    editExt3(partition, 'set_super_value error_count 1', 'set_inode_field upper/etc/hostname links_count 7')
    const whole = readFileSync(sif())
    readFileSync(partition).copy(whole, offsetOf(size))
    writeFileSync(sif(), whole)
    expect(await prepare({ path: 'tools.sif', made: true })).toMatchObject({
      checked: true,
      repaired: [expect.stringMatching(/ref count is 7, should be 1/)],
      figures: { errorCount: 0 },
    })
  })
})

describe('what can only be read', () => {
  test('a squashfs is left as it is, for readers alone', async () => {
    makeSquashfs(image, smallBase)
    const before = readFileSync(image)
    const { figures } = await prepare({ access: 'ReadOnly' })
    expect(figures).toMatchObject({ inodes: 5, freeInodes: 0, freeBlocks: 0 })
    await expect(prepare()).rejects.toMatchObject({
      reason: 'OverlayReadOnly',
      message: expect.stringMatching(/is a squashfs, which cannot be written: use it with access ReadOnly/),
    })
    expect(readFileSync(image).equals(before)).toBe(true)
  })

  test('a plain directory, too', async () => {
    mkdirSync(join(workplace.directory, 'sandbox'))
    expect(await prepare({ access: 'ReadOnly', path: 'sandbox' })).toMatchObject({ checked: false })
    await expect(prepare({ path: 'sandbox' })).rejects.toMatchObject({
      reason: 'OverlayReadOnly',
      message:
        'overlay "work": sandbox is a directory, to which format: Image does not write: use it with access ReadOnly, or make a new overlay with format: Directory',
    })
  })
})

test('an image that Apptainer wrote needs nothing rewritten, and passes its rules afterwards', async () => {
  const fixture = join(import.meta.dirname, '../../../test/fixtures/apptainer-overlay.img.zst')
  writeFileSync(image, zstdDecompressSync(readFileSync(fixture)))
  expect(await prepare()).toMatchObject({ checked: true, figures: { errorCount: 0 } })
  expect(workplace.lines.join('\n')).not.toContain('rewritten')
  expect(superblockOf(image).features.incompat & ~0x16).toBe(0)
})
