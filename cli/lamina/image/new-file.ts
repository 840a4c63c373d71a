import { randomUUID } from 'node:crypto'
import { closeSync, fchmodSync, fstatSync, fsyncSync, lstatSync, openSync, renameSync, rmSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { hasCode } from '../../../runtime-shim/mount/error-code.ts'
import { linkDescriptor } from '../../../runtime-shim/mount/syscalls.ts'
import { Refusal } from '../../shared/refusal.ts'
import { interruptible } from './interrupted.ts'

/** A file under way to its name, beside it. */
export interface FileInMaking {
  fd: number
  directory: string
  signal: AbortSignal
}

const takenAway = (path: string): Refusal =>
  new Refusal(`could not make ${path}: somebody else has taken away what was to become it`)

const isStill = (staging: string, fd: number): boolean => {
  const [named, open] = [lstatSync(staging, { throwIfNoEntry: false }), fstatSync(fd)]
  return named?.ino === open.ino && named.dev === open.dev
}

const publishOver = (fd: number, staging: string, path: string): void => {
  if (!isStill(staging, fd)) throw takenAway(path)
  renameSync(staging, path)
}

/** A file that is there meanwhile is not replaced. Where there are no hard links, the last look was at the beginning. */
const publishNew = (fd: number, staging: string, path: string): void => {
  try {
    linkDescriptor(fd, path)
    rmSync(staging, { force: true })
  } catch (error) {
    if (hasCode(error, 'ENOENT')) throw takenAway(path)
    if (!hasCode(error, 'EPERM', 'ENOTSUP', 'ENOSYS')) throw error
    publishOver(fd, staging, path)
  }
}

/**
 * Makes a file, whole or not at all. Whoever may write to the directory can put something else in the place of one
 * that is not finished: so all that is done to it, also by tools, is done by its descriptor.
 *
 * @param replaces whether a file that is there is replaced; EEXIST is thrown where it is not
 */
export const makeFile = async (
  path: string,
  { mode, replaces }: { mode: number; replaces: boolean },
  fill: (file: FileInMaking) => Promise<void>,
): Promise<void> => {
  const directory = dirname(path)
  const staging = join(directory, `.lamina-${randomUUID()}`)
  const fd = openSync(staging, 'wx+', 0o600)
  try {
    await interruptible((signal) => fill({ fd, directory, signal }))
    fchmodSync(fd, mode)
    fsyncSync(fd)
    const publish = replaces ? publishOver : publishNew
    publish(fd, staging, path)
  } catch (error) {
    rmSync(staging, { force: true })
    throw error
  } finally {
    closeSync(fd)
  }
}
