import { closeSync, readFileSync, readSync } from 'node:fs'
import { hasCode } from './error-code.ts'
import { overlayImageName } from './names.ts'
import { openRegularBelow } from './open.ts'
import type { DeviceNumbers } from './parts.ts'

/** What the node agent notes beside a file system of what is under way on it: it may be cut off in the middle. */
export type Undertaking = 'making' | 'growing'

/** In the volume's directory, of the image there. */
export const undertakingName = `.${overlayImageName}.undertaking`

/** Bytes. */
export const noteSize = 4096
const prefix = 'lamina.dev/undertaking'
const undertakings: readonly Undertaking[] = ['making', 'growing']

/** A whole block, so that it is written whole or not at all. */
export const encodeNote = (undertaking: Undertaking, uid: string): Buffer => {
  const bytes = Buffer.alloc(noteSize)
  bytes.write(`${prefix} ${undertaking} ${uid}\n`)
  return bytes
}

const readNote = (fd: number, offset: number, uid: string): Undertaking | undefined => {
  const block = Buffer.alloc(noteSize)
  const bytes = block.subarray(0, readSync(fd, block, 0, noteSize, offset))
  return undertakings.find((undertaking) => bytes.equals(encodeNote(undertaking, uid)))
}

/**
 * By a file of its own in the directory open at `dirfd`.
 *
 * @param uid of the overlay: a note of another one counts for nothing
 * @throws UnsafePathError
 */
export const undertakingIn = (dirfd: number, name: string, uid: string): Undertaking | undefined => {
  let fd: number
  try {
    fd = openRegularBelow(dirfd, name, 'read', name).fd
  } catch (error) {
    if (hasCode(error, 'ENOENT')) return undefined
    throw error
  }
  try {
    return readNote(fd, 0, uid)
  } finally {
    closeSync(fd)
  }
}

/** Bytes; sysfs counts sectors of 512. */
export const deviceSize = ({ major, minor }: DeviceNumbers): number =>
  Number(readFileSync(`/sys/dev/block/${major}:${minor}/size`, 'utf8')) * 512

/** What of a device is left to a file system of ours: its last whole block is for notes. */
export const usableBytes = (deviceSize: number): number => (Math.floor(deviceSize / noteSize) - 1) * noteSize

/** By the last whole block of the device. */
export const undertakingOn = (fd: number, deviceSize: number, uid: string): Undertaking | undefined =>
  readNote(fd, usableBytes(deviceSize), uid)
