import { execFileSync } from 'node:child_process'
import {
  copyFileSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statfsSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { makeExt3 } from '../../test/node/images.ts'
import { mountSmallDisk } from '../../test/node/small-disk.ts'
import { UnsafePathError, withDirectory } from './open.ts'
import { type OverlayRecord, readOverlayRecord, writeOverlayRecord } from './record.ts'

let dir: string
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'lamina-record-'))
})
afterEach(() => rmSync(dir, { recursive: true }))

const write = (record: OverlayRecord): void => withDirectory(dir, (top) => writeOverlayRecord(top, record))
const read = (): OverlayRecord | undefined => withDirectory(dir, readOverlayRecord)
const onBase: OverlayRecord = { base: { reference: 'a@sha256:0', digest: 'sha256:0' }, normalised: true }

test('it says what was written last, and nothing is left beside it', () => {
  expect(read()).toBeUndefined()
  write({ normalised: true })
  expect(read()).toEqual({ normalised: true })
  write(onBase)
  expect(read()).toEqual(onBase)
  expect(readdirSync(dir)).toEqual(['lamina.json'])
})

test('what a crash has left on its way stops nothing, whatever it is', () => {
  writeFileSync(join(dir, '.lamina.json.new'), 'half')
  write({ normalised: true })
  mkdirSync(join(dir, '.lamina.json.new/planted'), { recursive: true })
  write(onBase)
  const elsewhere = join(dir, 'elsewhere')
  writeFileSync(elsewhere, 'untouched')
  symlinkSync(elsewhere, join(dir, '.lamina.json.new'))
  write(onBase)
  expect(readFileSync(elsewhere, 'utf8')).toBe('untouched')
  expect(readdirSync(dir).toSorted()).toEqual(['elsewhere', 'lamina.json'])
})

test('a full file system keeps the one before', () => {
  const unmount = mountSmallDisk(dir, 8)
  try {
    write({ normalised: true })
    mkdirSync(join(dir, 'many'))
    for (let index = 0; statfsSync(dir).ffree > 0; index += 1) writeFileSync(join(dir, `many/${index}`), '')
    expect(() => write(onBase)).toThrow(/ENOSPC/)
    expect(read()).toEqual({ normalised: true })
    rmSync(join(dir, 'many/0'))
    for (let bytes = 65_536; bytes >= 512; ) {
      try {
        writeFileSync(join(dir, 'many/1'), Buffer.alloc(bytes), { flag: 'a' })
      } catch {
        bytes /= 2
      }
    }
    expect(() => write(onBase)).toThrow(/ENOSPC/)
    expect(read()).toEqual({ normalised: true })
    expect(readdirSync(dir)).not.toContain('.lamina.json.new')
    rmSync(join(dir, 'many/1'))
    write(onBase)
    expect(read()).toEqual(onBase)
  } finally {
    unmount()
  }
})

test('a power cut right after it was written takes it away no more', () => {
  const [disk, found, at] = [join(dir, 'disk'), join(dir, 'found'), join(dir, 'mounted')]
  makeExt3(disk)
  mkdirSync(at)
  /** What of the disk has been written to it by the end of `act`, as the next start finds it. */
  const cutAfter = (act: () => void): OverlayRecord | undefined => {
    // As overlays are mounted: data come to the disk later than names.
    execFileSync('mount', ['-t', 'ext4', '-o', 'loop', disk, at])
    try {
      act()
      copyFileSync(disk, found)
    } finally {
      execFileSync('umount', [at])
    }
    execFileSync('mount', ['-t', 'ext4', '-o', 'loop', found, at])
    try {
      return withDirectory(at, readOverlayRecord)
    } finally {
      execFileSync('umount', [at])
    }
  }
  const writeThere = (record: OverlayRecord) => () => withDirectory(at, (top) => writeOverlayRecord(top, record))
  expect(cutAfter(writeThere({ normalised: true }))).toEqual({ normalised: true })
  expect(cutAfter(writeThere(onBase))).toEqual(onBase)
})

test('a link in its place is not followed', () => {
  symlinkSync('/etc/hostname', join(dir, 'lamina.json'))
  expect(read).toThrow(UnsafePathError)
})
