import { execFileSync } from 'node:child_process'
import { closeSync, openSync, readFileSync, readSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { editExt3 } from '../../../test/node/images.ts'
import { assertExt3 } from '../../mount/superblock.ts'
import type { Preparation } from './preparation.ts'
import { prepareOverlay } from './prepare.ts'
import {
  type BlockVolume,
  createWorkplace,
  makeBlockVolume,
  superblockOf,
  type Workplace,
} from './testing/workplace.ts'

const MiB = 2 ** 20
/** The last block is for notes. */
const fileSystemOf = (mebibytes: number): number => mebibytes * MiB - 4096

let workplace: Workplace
let device: BlockVolume
beforeEach(() => {
  workplace = createWorkplace()
  device = makeBlockVolume(join(workplace.dir, 'device'), 64)
})
afterEach(() => {
  device.detach()
  workplace.close()
})

const prepare = (changes: Partial<Preparation> = {}) =>
  prepareOverlay(workplace.preparation({ volume: device, ...changes }))
const again = (changes: Partial<Preparation> = {}) => prepare({ made: true, ...changes })

const bytesAt = (offset: number, length: number): Buffer => {
  const fd = openSync(device.mapPath, 'r')
  try {
    const bytes = Buffer.alloc(length)
    readSync(fd, bytes, 0, length, offset)
    return bytes
  } finally {
    closeSync(fd)
  }
}

const write = (offset: number, text: string): void => {
  const fd = openSync(device.mapPath, 'r+')
  try {
    writeSync(fd, text, offset)
  } finally {
    closeSync(fd)
  }
}

const content = (): Buffer => bytesAt(0, 64 * MiB)

const mounted = async <T>(act: (at: string) => T | Promise<T>): Promise<T> => {
  const at = join(workplace.dir, 'mounted')
  execFileSync('mkdir', ['-p', at])
  execFileSync('mount', [device.mapPath, at])
  try {
    return await act(at)
  } finally {
    execFileSync('umount', [at])
  }
}

describe('a blank device', () => {
  test('gets an ext3 file system of its own size, whatever the spec asks for', async () => {
    const { figures, checked } = await prepare({ size: 16 * MiB })
    expect(checked).toBe(false)
    expect(figures.blocks * figures.blockSize).toBe(fileSystemOf(64))
    assertExt3(superblockOf(device.mapPath))
    expect(editExt3(device.mapPath, 'stat <2>')).toMatch(/User: +0 +Group: +0/)
    expect(bytesAt(64 * MiB - 4096, 4096).every((byte) => byte === 0)).toBe(true)
    expect(workplace.lines).toEqual(['overlay "work": making an ext3 file system of 64 MiB on its device'])
  })

  test('is left to a writer: readers on two nodes would both make one', async () => {
    await expect(prepare({ access: 'ReadOnly' })).rejects.toMatchObject({ reason: 'OverlayNotMade' })
    expect(content().every((byte) => byte === 0)).toBe(true)
  })

  test('on which a file system was made before has lost it: none is made anew', async () => {
    await expect(again()).rejects.toMatchObject({
      reason: 'OverlayNotBlank',
      message: expect.stringMatching(/is blank, although a file system was made there: restore it/),
    })
  })
})

test('a blank device that somebody brought is not formatted', async () => {
  await expect(prepare({ existing: true })).rejects.toMatchObject({
    reason: 'OverlayNotBlank',
    message: expect.stringMatching(
      /^overlay "work": its device is blank, and on an existing claim Lamina makes nothing: make an ext3/,
    ),
  })
  expect(content().every((byte) => byte === 0)).toBe(true)
})

describe('never formats what is there', () => {
  test.each([
    ['a few bytes at the start', () => write(0, 'my only copy')],
    ['a few bytes at the end', () => write(64 * MiB - 12, 'my only copy')],
    ['swap space', () => execFileSync('mkswap', [device.mapPath], { stdio: 'ignore' })],
    ['the start of an XFS', () => write(0, 'XFSB')],
  ])('%s', async (_what, make) => {
    make()
    const before = content()
    await expect(prepare()).rejects.toMatchObject({ reason: 'OverlayNotBlank' })
    expect(content().equals(before)).toBe(true)
  })

  test('an ext4 file system', async () => {
    execFileSync('mkfs.ext4', ['-q', device.mapPath])
    const before = content()
    await expect(prepare()).rejects.toMatchObject({
      reason: 'OverlayNotExt3',
      message: expect.stringMatching(/^overlay "work": its device is not an overlay/),
    })
    expect(content().equals(before)).toBe(true)
  })

  test("what another overlay's preparation began there", async () => {
    write(64 * MiB - 4096, 'lamina.dev/undertaking making uid-other\n')
    await expect(prepare()).rejects.toMatchObject({ reason: 'OverlayNotBlank' })
  })
})

describe('a device on which a making was cut off', () => {
  test('is known by the note at its end, and made again', async () => {
    write(64 * MiB - 4096, 'lamina.dev/undertaking making uid-work\n')
    write(5 * MiB, 'half of an inode table')
    write(100, 'no boot block')
    const { figures } = await prepare()
    expect(figures.blocks * figures.blockSize).toBe(fileSystemOf(64))
    execFileSync('e2fsck', ['-f', '-n', device.mapPath], { stdio: 'pipe' })
  })

  test('unless it was reported as made: then there is data', async () => {
    await prepare()
    editExt3(device.mapPath, 'write /etc/hostname kept')
    write(64 * MiB - 4096, 'lamina.dev/undertaking making uid-work\n')
    await again()
    expect(await mounted((at) => readFileSync(join(at, 'kept'), 'utf8'))).toBe(readFileSync('/etc/hostname', 'utf8'))
  })

  test('also when all but the taking back of the note was done', async () => {
    await prepare()
    write(64 * MiB - 4096, 'lamina.dev/undertaking making uid-work\n')
    await prepare()
    expect(bytesAt(64 * MiB - 4096, 4096).every((byte) => byte === 0)).toBe(true)
  })
})

describe('a device with its file system', () => {
  test('stays as it is', async () => {
    await prepare()
    const before = content()
    expect(await again()).toMatchObject({ checked: false })
    expect(await again({ access: 'ReadOnly' })).toMatchObject({ checked: false })
    expect(content().equals(before)).toBe(true)
  })

  test('that has grown is grown, with what is in it', async () => {
    await prepare()
    editExt3(device.mapPath, 'write /etc/hostname kept')
    device.grow(200)
    const { figures, checked } = await again()
    expect(checked).toBe(true)
    expect(figures.blocks * figures.blockSize).toBe(fileSystemOf(200))
    execFileSync('e2fsck', ['-f', '-n', device.mapPath], { stdio: 'pipe' })
    expect(await mounted((at) => readFileSync(join(at, 'kept'), 'utf8'))).toBe(readFileSync('/etc/hostname', 'utf8'))
  })

  test('in error is checked', async () => {
    await prepare()
    editExt3(device.mapPath, 'set_super_value error_count 3', 'set_super_value state 2')
    expect(await again()).toMatchObject({ checked: true, figures: { errorCount: 0 } })
  })

  test('that is mounted is left alone', async () => {
    await prepare()
    await mounted(async () => {
      await expect(again()).rejects.toMatchObject({
        reason: 'OverlayInUse',
        message: `overlay "work": block device ${device.major}:${device.minor} is in use by another mount on this node`,
      })
    })
  })

  test('from elsewhere is looked over, and keeps its size and its last block', async () => {
    execFileSync('mkfs.ext3', ['-q', '-b', '4096', device.mapPath])
    device.grow(80)
    const { figures, checked } = await prepare({ existing: true })
    expect(checked).toBe(true)
    expect(figures.blocks * figures.blockSize).toBe(64 * MiB)
  })
})

test('a path of the kubelet that leads to another device is refused', async () => {
  const volume = { ...device, minor: device.minor + 1 }
  await expect(prepare({ volume })).rejects.toMatchObject({ reason: 'OverlayVolumeUnsuitable' })
})
