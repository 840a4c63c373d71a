import { execFileSync } from 'node:child_process'
import {
  closeSync,
  copyFileSync,
  mkdtempSync,
  openSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
  writeSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { gzipSync } from 'node:zlib'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { ConversionError } from '../../image/errors.ts'
import { checkImage, isVerdict } from './check-image.ts'

const fixtures = join(import.meta.dirname, '../../../test/fixtures')
const digest = `sha256:${'a'.repeat(64)}`

let dir: string
let path: string
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'lamina-check-'))
  path = join(dir, 'image')
})
afterEach(() => rmSync(dir, { recursive: true }))

/** An ext3 container image of Singularity 2.x, behind its launch line. */
const makeExt3 = (launchLine: string): void => {
  const bare = join(dir, 'bare')
  execFileSync('truncate', ['-s', '8M', bare])
  execFileSync('mkfs.ext3', ['-q', bare])
  execFileSync('sh', ['-c', `printf '%s' "$1" | cat - "$2" >"$3"`, 'sh', launchLine, bare, path])
}

const refused = async (words: RegExp): Promise<void> => {
  const attempt = checkImage(path, digest)
  await expect(attempt).rejects.toThrow(ConversionError)
  await expect(attempt).rejects.toThrow(words)
}

describe('is an image', () => {
  test.each(['minimal.sif', 'minimal.simg'])('%s as Apptainer wrote it', async (name) => {
    copyFileSync(join(fixtures, name), path)
    await checkImage(path, digest)
  })

  test.each(['', '#!/usr/bin/env run-singularity\n'])('a sound ext3 file system behind %j', async (launchLine) => {
    makeExt3(launchLine)
    await checkImage(path, digest)
    expect(statSync(path)).toMatchObject({ uid: 0, gid: 0 })
  })
})

describe('is none, and is told what it seems to be', () => {
  test.each([
    ['a web page', '\n<!DOCTYPE html><html>Please log in</html>'],
    ['a gzip-compressed file', gzipSync('x')],
    ['a program', Buffer.concat([Buffer.from('\x7fELF'), Buffer.alloc(100)])],
    ['a tar archive', Buffer.concat([Buffer.alloc(257), Buffer.from('ustar'), Buffer.alloc(250)])],
  ])('%s', async (what, bytes) => {
    writeFileSync(path, bytes)
    await refused(new RegExp(`^what came as sha256:a+ is no image that can be mounted: .*; it looks like ${what}$`))
  })

  test('an empty file', async () => {
    writeFileSync(path, '')
    await refused(/it is empty$/)
  })

  test('a SIF that is cut off', async () => {
    copyFileSync(join(fixtures, 'minimal.sif'), path)
    truncateSync(path, 100_000)
    await refused(/cut off or damaged/)
  })
})

test.each([
  [4, true, 'errors are left'],
  [12, true, 'errors are left, and it could not go on'],
  [8, false, 'it could not do its work'],
  [32, false, 'it was canceled'],
  [36, false, 'it was canceled'],
  [255, false, 'it was killed'],
  [127, false, 'it is not there'],
])('exit code %i of e2fsck is a verdict on the bytes: %s (%s)', (exitCode, is) => {
  expect(isVerdict(exitCode)).toBe(is)
})

test('an ext3 file system with errors never reaches the kernel', async () => {
  makeExt3('')
  const fd = openSync(path, 'r+')
  // The block bitmap and the inode table of the first group.
  for (let block = 34; block < 60; block++) writeSync(fd, Buffer.alloc(1024, 0xff), 0, 1024, block * 1024)
  closeSync(fd)
  await refused(/the ext3 file system in sha256:a+ has errors .*run e2fsck on it/)
})
