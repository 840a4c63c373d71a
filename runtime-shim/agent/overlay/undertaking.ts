import { closeSync, constants, fsync, readSync, rmSync, writeSync } from 'node:fs'
import { promisify } from 'node:util'
import { hasCode } from '../../mount/error-code.ts'
import { descriptorPath, openBelow, openRegularBelow } from '../../mount/open.ts'
import type { Undertaking, UndertakingNote } from './preparation.ts'

const sync = promisify(fsync)

const noteSize = 4096
const prefix = 'lamina.dev/undertaking'
const undertakings: readonly Undertaking[] = ['making', 'growing']

/** A whole block, so that it is written whole or not at all. */
const encode = (undertaking: Undertaking, uid: string): Buffer => {
  const bytes = Buffer.alloc(noteSize)
  bytes.write(`${prefix} ${undertaking} ${uid}\n`)
  return bytes
}

const decode = (bytes: Buffer, uid: string): Undertaking | undefined =>
  undertakings.find((undertaking) => bytes.equals(encode(undertaking, uid)))

const readBlock = (fd: number, offset: number): Buffer => {
  const bytes = Buffer.alloc(noteSize)
  return bytes.subarray(0, readSync(fd, bytes, 0, noteSize, offset))
}

/** A file of its own in the image's directory, open at `dirfd`. */
export const noteInDirectory = (dirfd: number, name: string, uid: string): UndertakingNote => ({
  read: () => {
    let fd: number
    try {
      fd = openRegularBelow(dirfd, name, 'read', name).fd
    } catch (error) {
      if (hasCode(error, 'ENOENT')) return undefined
      throw error
    }
    try {
      return decode(readBlock(fd, 0), uid)
    } finally {
      closeSync(fd)
    }
  },
  write: async (undertaking) => {
    rmSync(`${descriptorPath(dirfd)}/${name}`, { force: true })
    const fd = openBelow(dirfd, name, constants.O_RDWR | constants.O_CREAT | constants.O_EXCL, name, 0o600)
    try {
      writeSync(fd, encode(undertaking, uid))
      await sync(fd)
    } finally {
      closeSync(fd)
    }
    await sync(dirfd)
  },
  clear: async () => {
    rmSync(`${descriptorPath(dirfd)}/${name}`, { force: true })
    await sync(dirfd)
  },
})

/** What of a device is left to a file system of ours: its last whole block is for notes. */
export const usableBytes = (deviceSize: number): number => (Math.floor(deviceSize / noteSize) - 1) * noteSize

/** The last whole block of a device. The tools do not touch it, whatever they do, since it is beyond the size that they are given. */
export const noteOnDevice = (fd: number, deviceSize: number, uid: string): UndertakingNote => {
  const offset = usableBytes(deviceSize)
  const put = async (bytes: Buffer): Promise<void> => {
    writeSync(fd, bytes, 0, bytes.length, offset)
    await sync(fd)
  }
  return {
    read: () => decode(readBlock(fd, offset), uid),
    write: (undertaking) => put(encode(undertaking, uid)),
    clear: () => put(Buffer.alloc(noteSize)),
  }
}

/** Of a part of a file, which is neither made nor grown. */
export const noNote: UndertakingNote = {
  read: () => undefined,
  write: async () => {},
  clear: async () => {},
}
