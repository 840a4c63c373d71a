import { execFileSync } from 'node:child_process'
import { mkdtempSync, renameSync, rmSync, statSync, symlinkSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { createManualClock } from '../../../kube/testing/manual-clock.ts'
import { makeVolume } from '../../../test/node/images.ts'
import { figuresIn } from '../../node/figures.ts'
import type { Figures, RecordedOverlay } from '../../node/ticket.ts'
import { createFiguresReader } from './left-figures.ts'

let dir: string
let image: string
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'lamina-left-'))
  image = join(makeVolume(join(dir, 'volume')), 'overlay.img')
})
afterEach(() => rmSync(dir, { recursive: true }))

const recorded = (changes: Partial<RecordedOverlay> = {}): RecordedOverlay => {
  const { dev, ino } = statSync(image, { bigint: true })
  return {
    ...{ name: 'work', uid: 'uid-work', access: 'ReadWrite', path: image, dev: String(dev), ino: String(ino) },
    ...{ loop: null, device: null, ext3Offset: 0 },
    ...changes,
  }
}

describe('what an overlay says that was left', () => {
  const read = (overlay: RecordedOverlay) => createFiguresReader(createManualClock())(overlay)

  test('is what the runtime would have read', async () => {
    expect(await read(recorded())).toEqual(figuresIn(recorded()))
    expect(await read(recorded())).toMatchObject({ errorCount: 0, blocks: expect.any(Number) })
  })

  test('is read from a block volume, if it is the one', async () => {
    const path = execFileSync('losetup', ['--find', '--show', '--read-only', image], { encoding: 'utf8' }).trim()
    try {
      const device = { major: 7, minor: Number(path.replace('/dev/loop', '')) }
      expect(await read(recorded({ path, device }))).toEqual(figuresIn(recorded()))
      expect(await read(recorded({ path, device: { ...device, minor: device.minor + 1 } }))).toBeNull()
    } finally {
      execFileSync('losetup', ['-d', path])
    }
  })

  test.each<[string, () => void]>([
    ['is gone', () => rmSync(image)],
    ['is another file by now', () => execFileSync('cp', ['--remove-destination', '/bin/true', image])],
    ['is a FIFO by now', () => execFileSync('sh', ['-c', 'rm "$1"; mkfifo "$1"', 'sh', image])],
    [
      'is behind a link',
      () => {
        renameSync(image, `${image}.moved`)
        symlinkSync(`${image}.moved`, image)
      },
    ],
  ])('is not known where it %s', async (_what, change) => {
    const overlay = recorded()
    change()
    expect(await read(overlay)).toBeNull()
  })

  test('is nothing in format Directory', async () => {
    expect(await read(recorded({ ext3Offset: null }))).toBeNull()
  })
})

test('a volume that does not answer is waited for five seconds, and no other is asked until it does', async () => {
  const clock = createManualClock()
  const figures: Figures = {
    ...{ needsRecovery: false, errorCount: 0, blockSize: 4096 },
    ...{ blocks: 1000, freeBlocks: 400, inodes: 300, freeInodes: 100 },
  }
  const asked: string[] = []
  let answer = (): void => {}
  const dead = new Promise<Figures>((resolve) => {
    answer = () => resolve(figures)
  })
  const read = createFiguresReader(clock, ({ name }) => {
    asked.push(name)
    return name === 'dead' ? dead : Promise.resolve(figures)
  })
  const both = Promise.all(['dead', 'other'].map((name) => read(recorded({ name }))))
  await clock.advance(4_999)
  expect(asked).toEqual(['dead'])
  await clock.advance(1)
  expect(await both).toEqual([null, null])
  expect(asked).toEqual(['dead'])
  answer()
  await clock.advance(0)
  expect(await read(recorded({ name: 'other' }))).toEqual(figures)
  expect(clock.pending()).toBe(0)
})
