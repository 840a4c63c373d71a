import { closeSync, mkdtempSync, openSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { lockImage, lockListedImage } from './lock.ts'

let dir: string
let path: string
let fds: number[]
const open = (): number => {
  const fd = openSync(path, 'r+')
  fds.push(fd)
  return fd
}
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'lamina-lock-'))
  path = join(dir, 'image')
  writeFileSync(path, 'content')
  fds = []
})
afterEach(() => {
  for (const fd of fds) closeSync(fd)
  rmSync(dir, { recursive: true })
})

const held = (message: string) => expect.objectContaining({ name: 'LockHeldError', message })

describe('the lock of an image', () => {
  test('has many readers or one writer, and says which of them stands in the way', () => {
    lockImage(open(), 'shared', path)
    lockImage(open(), 'shared', path)
    expect(() => lockImage(open(), 'exclusive', path)).toThrow(held(`${path} is in use by another mount on this node`))
  })

  test('goes with its descriptor', () => {
    const writer = openSync(path, 'r+')
    lockImage(writer, 'exclusive', path)
    const reader = open()
    expect(() => lockImage(reader, 'shared', path)).toThrow(
      held(`${path} is in use for writing by another mount on this node`),
    )
    closeSync(writer)
    lockImage(reader, 'shared', path)
  })
})

describe('the lock of an image in the cache', () => {
  test('is one as long as the file has its name', () => {
    const reader = open()
    lockListedImage(reader, 'shared', path)
    expect(() => lockImage(open(), 'exclusive', path)).toThrow(held(`${path} is in use by another mount on this node`))
  })

  test('is none on a file that was collected after it was opened', () => {
    const reader = open()
    rmSync(path)
    expect(() => lockListedImage(reader, 'shared', path)).toThrow(
      expect.objectContaining({ code: 'ENOENT', message: `${path} has just been removed` }),
    )
  })
})
