import { execFileSync } from 'node:child_process'
import { closeSync, mkdirSync, openSync, readFileSync, rmSync, statSync, writeFileSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { editExt3, makeExt3 } from '../../../test/node/images.ts'
import { Trouble } from '../trouble.ts'
import type { Preparation, PreparedOverlay } from './preparation.ts'
import { prepareOverlay } from './prepare.ts'
import { createWorkplace, superblockOf, type Workplace } from './testing/workplace.ts'

const MiB = 2 ** 20

let workplace: Workplace
let image: string
beforeEach(() => {
  workplace = createWorkplace()
  image = workplace.image
})
afterEach(() => workplace.close())

const prepare = (changes: Partial<Preparation> = {}) =>
  prepareOverlay(workplace.preparation({ made: true, ...changes }))

/** With a file in it, of which the kernel has noted an error. */
const imageInError = (mebibytes = 16, ...damage: string[]): void => {
  makeExt3(image, mebibytes, '-b', '4096')
  editExt3(image, 'mkdir upper', 'write /etc/hostname upper/kept', ...damage, 'set_super_value error_count 2')
}
const kept = () => editExt3(image, 'cat upper/kept')
const isSound = (): boolean => {
  try {
    execFileSync('e2fsck', ['-f', '-n', image], { stdio: 'pipe' })
    return true
  } catch {
    return false
  }
}

const overwrite = (offset: number, bytes: Buffer): void => {
  const fd = openSync(image, 'r+')
  try {
    writeSync(fd, bytes, 0, bytes.length, offset)
  } finally {
    closeSync(fd)
  }
}

describe('what e2fsck -p mends', () => {
  test.each([
    [
      'a wrong number of links',
      'set_inode_field upper/kept links_count 7',
      /Inode \d+ ref count is 7, should be 1\. +FIXED/,
    ],
    [
      'used blocks that are marked free',
      'freeb 5 20',
      /^bitmaps, counts or the mark of errors, for which e2fsck -p has no words$/,
    ],
    ['a wrong count', 'set_super_value free_blocks_count 17', /^bitmaps, counts or/],
  ])('is told in its words: %s', async (_what, damage, words) => {
    imageInError(16, damage)
    const { checked, repaired = [], damaged, figures } = await prepare()
    expect({ checked, damaged, errorCount: figures.errorCount }).toEqual({
      checked: true,
      damaged: undefined,
      errorCount: 0,
    })
    expect(repaired.join('\n')).toMatch(words)
    expect(repaired.join('\n')).not.toMatch(/files \(|\/proc\//)
    expect(workplace.lines[0]).toBe('overlay "work": checking the file system')
    expect(workplace.lines.at(-1)).toBe('overlay "work": e2fsck has mended it')
    const found = workplace.lines.slice(1, -1)
    expect(found.join('\n')).toMatch(words.source.startsWith('^') ? /^$/ : words)
    expect(found.filter((line) => !line.startsWith('overlay "work": e2fsck: '))).toEqual([])
    expect(isSound()).toBe(true)
    expect(kept()).toBe(readFileSync('/etc/hostname', 'utf8'))
  })

  test('does not count what was in order: errors noted, and nothing found', async () => {
    imageInError()
    const { repaired, checked, figures } = await prepare()
    expect({ repaired, checked, errorCount: figures.errorCount }).toEqual({
      repaired: undefined,
      checked: true,
      errorCount: 0,
    })
  })

  test('nor the replay of a journal', async () => {
    makeExt3(image)
    const [copy, at] = [join(workplace.dir, 'copy'), join(workplace.dir, 'at')]
    mkdirSync(at)
    execFileSync('mount', ['-o', 'loop', image, at])
    writeFileSync(join(at, 'kept'), 'synced')
    execFileSync('sync', ['-f', at])
    // As it is on disk in the middle of its life: with transactions that are not in place.
    execFileSync('cp', [image, copy])
    execFileSync('umount', [at])
    execFileSync('cp', [copy, image])
    expect(superblockOf(image).needsRecovery).toBe(true)
    const { repaired, figures } = await prepare({ size: 32 * MiB })
    expect(repaired).toBeUndefined()
    expect(figures.needsRecovery).toBe(false)
    expect(editExt3(image, 'cat kept')).toBe('synced')
  })

  test('a superblock that is lost, where there is a copy', async () => {
    makeExt3(image, 200, '-b', '4096')
    editExt3(image, 'mkdir upper', 'write /etc/hostname upper/kept')
    overwrite(1024, Buffer.alloc(1024))
    const { checked, repaired, figures } = await prepare()
    expect({ checked, errorCount: figures.errorCount }).toEqual({ checked: true, errorCount: 0 })
    expect(repaired).toEqual(['the superblock was lost, and taken from a copy'])
    expect(isSound()).toBe(true)
    expect(kept()).toBe(readFileSync('/etc/hostname', 'utf8'))
  })

  test('is told of at some length, and of a crafted image no further', { timeout: 20_000 }, async () => {
    const files = Array.from({ length: 250 }, (_, index) => `upper/file-${index}`)
    imageInError(
      16,
      ...files.map((path) => `write /etc/hostname ${path}`),
      ...files.map((path) => `set_inode_field ${path} links_count 7`),
    )
    const { repaired = [] } = await prepare()
    const told = workplace.lines.filter((line) => line.includes('ref count is 7'))
    for (const lines of [told, repaired]) {
      expect(lines.length).toBeGreaterThan(150)
      expect(lines.length).toBeLessThanOrEqual(201)
    }
    expect(workplace.lines).toContain('overlay "work": e2fsck: (what it says from here on is left out)')
    expect(isSound()).toBe(true)
  })
})

describe('what e2fsck -p leaves to a person', () => {
  const rootIsLost = () => imageInError(16, 'clri <2>')

  test('is told with what to do, and stays noted in the file system', async () => {
    rootIsLost()
    const { checked, damaged, repaired, figures } = await prepare()
    expect({ checked, repaired }).toEqual({ checked: true, repaired: undefined })
    expect(damaged).toMatch(
      /^overlay "work" has errors that e2fsck -p does not mend \(exit code 4: .*UNEXPECTED INCONSISTENCY.*\): copy what you need.*run e2fsck -f on overlay.img$/,
    )
    expect(figures.errorCount).toBeGreaterThan(0)
    expect(statSync(image)).toMatchObject({ uid: 0, gid: 0 })
  })

  test('is told again at the next start', async () => {
    rootIsLost()
    await prepare()
    expect((await prepare()).damaged).toBeDefined()
  })

  test('is looked over once more when somebody has mended it: only that takes the verdict back', async () => {
    rootIsLost()
    await prepare()
    rmSync(image)
    makeExt3(image, 16, '-b', '4096')
    expect(await prepare({ wasDamaged: true })).toMatchObject({ checked: true, figures: { errorCount: 0 } })
    expect(await prepare()).toMatchObject({ checked: false })
  })

  test('is not grown', async () => {
    rootIsLost()
    await prepare({ size: 64 * MiB })
    expect(superblockOf(image).blocks * 4096).toBe(16 * MiB)
  })

  test('keeps no reader from it: neither one that finds it, nor a later one', async () => {
    rootIsLost()
    expect((await prepare({ access: 'ReadOnly', made: false })).damaged).toBeDefined()
    const before = readFileSync(image)
    expect(await prepare({ access: 'ReadOnly' })).toMatchObject({ checked: false })
    expect(readFileSync(image).equals(before)).toBe(true)
  })

  test('found where no errors were on record, is on record then', async () => {
    makeExt3(image, 16, '-b', '4096')
    editExt3(image, 'clri <2>')
    expect((await prepare({ made: false })).damaged).toBeDefined()
    expect(superblockOf(image).errorCount).toBeGreaterThan(0)
  })
})

/** Park and Miller's: the same blocks at each run. */
const randomNumbers = (seed: number) => {
  let state = seed
  return (below: number): number => {
    state = (state * 48_271) % 2_147_483_647
    return state % below
  }
}

test('whichever metadata is overwritten: it is sound afterwards, or it is said that it is not', async () => {
  const pristine = join(workplace.dir, 'pristine')
  imageInError(160)
  execFileSync('mv', [image, pristine])
  const random = randomNumbers(4)
  const outcomes = new Set<string>()
  for (let round = 0; round < 24; round += 1) {
    execFileSync('cp', ['--sparse=always', pristine, image])
    const block = [1, 2, 40, 41, 42, 43, 32_768, 32_770][round % 8] ?? 0
    const noise = Buffer.from(Array.from({ length: 512 }, () => random(256)))
    overwrite((block + (round >= 8 ? random(300) : 0)) * 4096 + random(7) * 512, noise)
    const outcome = await prepare().catch((error: unknown) => error)
    outcomes.add(nameOf(outcome))
    if (nameOf(outcome) === 'sound' || nameOf(outcome) === 'repaired') expect(isSound()).toBe(true)
  }
  expect([...outcomes].filter((name) => !['sound', 'repaired', 'damaged', 'OverlayNotChecked'].includes(name))).toEqual(
    [],
  )
  expect(outcomes).toContain('damaged')
  expect(outcomes).toContain('sound')
})

const isPrepared = (outcome: unknown): outcome is PreparedOverlay =>
  typeof outcome === 'object' && outcome !== null && 'figures' in outcome

const nameOf = (outcome: unknown): string => {
  if (outcome instanceof Trouble) return outcome.reason
  if (!isPrepared(outcome)) return `unexpected: ${outcome}`
  if (outcome.damaged !== undefined) return 'damaged'
  return outcome.repaired ? 'repaired' : 'sound'
}
