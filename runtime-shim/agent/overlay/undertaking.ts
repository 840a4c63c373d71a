import { closeSync, constants, fsync, rmSync, writeSync } from 'node:fs'
import { promisify } from 'node:util'
import { descriptorPath, openBelow } from '../../mount/open.ts'
import { encodeNote, noteSize, undertakingIn, undertakingOn, usableBytes } from '../../mount/undertaking.ts'
import type { UndertakingNote } from './preparation.ts'

const sync = promisify(fsync)

/** A file of its own in the image's directory, open at `dirfd`. */
export const noteInDirectory = (dirfd: number, name: string, uid: string): UndertakingNote => ({
  read: () => undertakingIn(dirfd, name, uid),
  write: async (undertaking) => {
    rmSync(`${descriptorPath(dirfd)}/${name}`, { force: true })
    const fd = openBelow(dirfd, name, constants.O_RDWR | constants.O_CREAT | constants.O_EXCL, name, 0o600)
    try {
      writeSync(fd, encodeNote(undertaking, uid))
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

/** The last whole block of a device. The tools do not touch it, whatever they do, since it is beyond the size that they are given. */
export const noteOnDevice = (fd: number, deviceSize: number, uid: string): UndertakingNote => {
  const offset = usableBytes(deviceSize)
  const put = async (bytes: Buffer): Promise<void> => {
    writeSync(fd, bytes, 0, bytes.length, offset)
    await sync(fd)
  }
  return {
    read: () => undertakingOn(fd, deviceSize, uid),
    write: (undertaking) => put(encodeNote(undertaking, uid)),
    clear: () => put(Buffer.alloc(noteSize)),
  }
}

/** Of a part of a file, which is neither made nor grown. */
export const noNote: UndertakingNote = {
  read: () => undefined,
  write: async () => {},
  clear: async () => {},
}
