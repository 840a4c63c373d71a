import { closeSync, mkdtempSync, openSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { makeExt3 } from '../../test/node/images.ts'
import { assertExt3, NotExt3Error, parseSuperblock, readSuperblock } from './superblock.ts'

/** Bits as linux/fs/ext4/ext4.h names them. */
const compat = { dir_prealloc: 0x1, has_journal: 0x4, ext_attr: 0x8, resize_inode: 0x10, dir_index: 0x20 }
const incompat = {
  compression: 0x1,
  filetype: 0x2,
  recover: 0x4,
  journal_dev: 0x8,
  meta_bg: 0x10,
  extents: 0x40,
  '64bit': 0x80,
  mmp: 0x100,
  flex_bg: 0x200,
  ea_inode: 0x400,
  csum_seed: 0x2000,
  largedir: 0x4000,
  inline_data: 0x8000,
  encrypt: 0x10000,
  casefold: 0x20000,
}
const roCompat = {
  sparse_super: 0x1,
  large_file: 0x2,
  btree_dir: 0x4,
  huge_file: 0x8,
  gdt_csum: 0x10,
  dir_nlink: 0x20,
  extra_isize: 0x40,
  quota: 0x100,
  bigalloc: 0x200,
  metadata_csum: 0x400,
  project: 0x2000,
  verity: 0x8000,
}

const bytes = (set: (buffer: Buffer) => void = () => {}): Buffer => {
  const buffer = Buffer.alloc(1024)
  buffer.writeUInt16LE(0xef53, 0x38)
  buffer.writeUInt32LE(compat.has_journal, 0x5c)
  set(buffer)
  return buffer
}
const withFeature = (offset: number, bit: number) =>
  parseSuperblock(bytes((buffer) => buffer.writeUInt32LE((buffer.readUInt32LE(offset) | bit) >>> 0, offset)))

describe('a superblock', () => {
  test('tells size and room in blocks and inodes', () => {
    const superblock = parseSuperblock(
      bytes((buffer) => {
        buffer.writeUInt32LE(4096, 0x00)
        buffer.writeUInt32LE(16_384, 0x04)
        buffer.writeUInt32LE(9_000, 0x0c)
        buffer.writeUInt32LE(4_000, 0x10)
        buffer.writeUInt32LE(2, 0x18)
      }),
    )
    expect(superblock).toMatchObject({
      blockSize: 4096,
      blocks: 16_384,
      freeBlocks: 9_000,
      inodes: 4096,
      freeInodes: 4_000,
    })
  })

  test('asks for recovery by one bit', () => {
    expect(parseSuperblock(bytes()).needsRecovery).toBe(false)
    expect(withFeature(0x60, incompat.recover).needsRecovery).toBe(true)
  })

  test.each([
    [0, 0x1, 0],
    [0, 0x2, 1],
    [7, 0x1, 7],
    [7, 0x3, 7],
  ])('counts %i noted errors with state %i as %i', (count, state, expected) => {
    const superblock = parseSuperblock(
      bytes((buffer) => {
        buffer.writeUInt16LE(state, 0x3a)
        buffer.writeUInt32LE(count, 0x194)
      }),
    )
    expect(superblock.errorCount).toBe(expected)
  })

  test.each([
    ['a wrong magic number', bytes((buffer) => buffer.writeUInt16LE(0xef54, 0x38))],
    ['too short a file', bytes().subarray(0, 500)],
    ['nothing', Buffer.alloc(0)],
  ])('is refused for %s', (_what, buffer) => {
    expect(() => parseSuperblock(buffer)).toThrow(NotExt3Error)
  })
})

describe("Apptainer's rule for an ext3 image", () => {
  test('has the journal', () => {
    const superblock = parseSuperblock(bytes((buffer) => buffer.writeUInt32LE(0, 0x5c)))
    expect(() => assertExt3(superblock)).toThrow(/no journal: it is ext2/)
  })

  test.each(Object.entries(compat))('compat %s: passes', (_name, bit) => {
    assertExt3(withFeature(0x5c, bit))
  })

  test.each(Object.entries(incompat))('incompat %s', (name, bit) => {
    const superblock = withFeature(0x60, bit)
    if (['filetype', 'recover', 'meta_bg'].includes(name)) assertExt3(superblock)
    else expect(() => assertExt3(superblock)).toThrow(`incompat 0x${bit.toString(16)}`)
  })

  test.each(Object.entries(roCompat))('ro_compat %s', (name, bit) => {
    const superblock = withFeature(0x64, bit)
    if (['sparse_super', 'large_file', 'btree_dir'].includes(name)) assertExt3(superblock)
    else expect(() => assertExt3(superblock)).toThrow(`ro_compat 0x${bit.toString(16)}`)
  })

  const bits = Array.from({ length: 32 }, (_, bit) => bit)

  test.each<[string, number, number[]]>([
    ['compat', 0x5c, bits],
    ['incompat', 0x60, [1, 2, 4]],
    ['ro_compat', 0x64, [0, 1, 2]],
  ])('of all 32 bits of %s accepts exactly these', (_word, offset, accepted) => {
    const passing = bits.filter((bit) => {
      try {
        assertExt3(withFeature(offset, 2 ** bit))
        return true
      } catch (error) {
        if (!(error instanceof NotExt3Error)) throw error
        return false
      }
    })
    expect(passing).toEqual(accepted)
  })

  describe('passes for what mkfs.ext3 makes', () => {
    let dir: string
    beforeEach(() => {
      dir = mkdtempSync(join(tmpdir(), 'lamina-superblock-'))
    })
    afterEach(() => rmSync(dir, { recursive: true }))

    test.each([
      ['as it is', []],
      ['with our options', ['-b', '4096', '-m', '0', '-E', 'nodiscard,root_owner=0:0']],
      ['with more inodes', ['-b', '4096', '-m', '0', '-i', '4096']],
      ['with reserved blocks', ['-b', '4096', '-m', '5']],
      ['with small blocks', ['-b', '1024']],
      ['as large as 64 TiB allow', ['-b', '4096', '-E', 'resize=4294967295']],
    ])('%s', (_what, options) => {
      const fd = openSync(makeExt3(join(dir, 'overlay.img'), 64, ...options), 'r')
      try {
        assertExt3(readSuperblock(fd))
      } finally {
        closeSync(fd)
      }
    })
  })
})
