import { execFileSync } from 'node:child_process'
import { closeSync, mkdirSync, openSync, readdirSync, readFileSync, statfsSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { mountSmallDisk } from '../../../test/node/small-disk.ts'
import { lockImage } from '../../mount/lock.ts'
import type { Preparation } from './preparation.ts'
import { prepareOverlay } from './prepare.ts'
import { createWorkplace, type Workplace } from './testing/workplace.ts'

let workplace: Workplace
beforeEach(() => {
  workplace = createWorkplace()
})
afterEach(() => workplace.close())

const prepare = (changes: Partial<Preparation> = {}) =>
  prepareOverlay(workplace.preparation({ format: 'Directory', path: '.', ...changes }))
const lockFile = () => join(workplace.directory, 'lock.squashfs')

describe('an overlay of format Directory', () => {
  test('needs nothing but the file that bears its lock', async () => {
    const { figures, checked } = await prepare()
    const { blocks, files } = statfsSync(workplace.directory)
    expect(figures).toMatchObject({ blocks, inodes: files, errorCount: 0, needsRecovery: false })
    expect(checked).toBe(false)
    expect(readdirSync(workplace.directory)).toEqual(['lock.squashfs'])
    expect(readFileSync(lockFile()).equals(readFileSync(join(workplace.dir, 'skeleton.squashfs')))).toBe(true)
  })

  test('that is there stays as it is, in use by readers or not', async () => {
    await prepare()
    const fd = openSync(lockFile(), 'r+')
    try {
      lockImage(fd, 'shared', lockFile())
      await prepare({ made: true })
      await prepare({ made: true, access: 'ReadOnly' })
    } finally {
      closeSync(fd)
    }
    expect(readdirSync(workplace.directory)).toEqual(['lock.squashfs'])
  })

  test('may lie in a folder of an existing claim, which must be there', async () => {
    await expect(prepare({ existing: true, path: 'tools' })).rejects.toMatchObject({
      reason: 'OverlayMissing',
      message: expect.stringMatching(/there is no directory tools in its volume/),
    })
    mkdirSync(join(workplace.directory, 'tools'))
    await prepare({ existing: true, path: 'tools' })
    expect(readdirSync(join(workplace.directory, 'tools'))).toEqual(['lock.squashfs'])
  })

  test('that another tool wrote is taken over', async () => {
    mkdirSync(join(workplace.directory, 'upper'))
    writeFileSync(join(workplace.directory, 'upper', '.wh.motd'), '')
    await prepare({ existing: true })
    expect(readdirSync(join(workplace.directory, 'upper'))).toEqual(['motd'])
    expect(JSON.parse(readFileSync(join(workplace.directory, 'lamina.json'), 'utf8'))).toEqual({ normalised: true })
  })

  test('that is foreign although it was made is taken over when the runtime has told so', async () => {
    await prepare()
    mkdirSync(join(workplace.directory, 'upper'))
    writeFileSync(join(workplace.directory, 'upper', '.wh.motd'), '')
    expect(await prepare({ made: true })).toMatchObject({ checked: false })
    expect(readdirSync(join(workplace.directory, 'upper'))).toEqual(['.wh.motd'])
    expect(await prepare({ made: true, wasDamaged: true })).toMatchObject({ checked: true })
    expect(readdirSync(join(workplace.directory, 'upper'))).toEqual(['motd'])
  })

  test('has no lock file of another kind', async () => {
    writeFileSync(lockFile(), 'mine')
    await expect(prepare()).rejects.toMatchObject({ reason: 'OverlayUnsafe' })
    expect(readFileSync(lockFile(), 'utf8')).toBe('mine')
  })

  test('on a full disk is not half made', async () => {
    const unmount = mountSmallDisk(workplace.directory, 4)
    try {
      const fill = 'for size in 1M 64k 1k; do dd if=/dev/zero bs=$size >> ballast 2> /dev/null; sync; done'
      execFileSync('sh', ['-c', fill], { cwd: workplace.directory })
      await expect(prepare()).rejects.toMatchObject({ reason: 'OverlayNoSpace' })
      expect(readdirSync(workplace.directory).toSorted()).toEqual(['ballast', 'lost+found'])
    } finally {
      unmount()
    }
  })

  test('is refused where the kernel lets no overlay write', async () => {
    execFileSync('mkdir', ['-p', join(workplace.dir, 'upper'), join(workplace.dir, 'work')])
    const layers = `lowerdir=${workplace.directory},upperdir=${workplace.dir}/upper,workdir=${workplace.dir}/work`
    execFileSync('mount', ['-t', 'overlay', '-o', layers, 'overlay', workplace.directory])
    try {
      await expect(prepare()).rejects.toMatchObject({
        reason: 'OverlayVolumeUnsuitable',
        message: expect.stringMatching(/its volume is overlayfs, on which the kernel lets no overlay write/),
      })
    } finally {
      execFileSync('umount', [workplace.directory])
    }
  })
})
