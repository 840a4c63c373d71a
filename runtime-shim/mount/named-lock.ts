import { closeSync, fstatSync, mkdirSync, openSync, readdirSync, unlinkSync } from 'node:fs'
import { join } from 'node:path'
import { hasCode } from './error-code.ts'
import { flock, lockKind } from './syscalls.ts'

/** Locks by name, as empty files of one directory. Who has one is alone with the name, among all processes of the node. */

/** An unlinked file is no lock any more: who waited for it may not be alone with the next one's holder. */
const acquire = (path: string): number => {
  for (;;) {
    const fd = openSync(path, 'a')
    flock(fd, lockKind.exclusive, { wait: true })
    if (fstatSync(fd).nlink > 0) return fd
    closeSync(fd)
  }
}

export const withNamedLock = <T>(lockDir: string, name: string, act: () => T): T => {
  mkdirSync(lockDir, { recursive: true })
  const fd = acquire(join(lockDir, name))
  try {
    return act()
  } finally {
    closeSync(fd)
  }
}

const removeIfFree = (path: string, madeBefore: Date): void => {
  const fd = openSync(path, 'r')
  try {
    if (fstatSync(fd).mtimeMs >= madeBefore.getTime()) return
    flock(fd, lockKind.exclusive, { wait: false })
    // Another's sweep may have been here first, and a new lock have the name.
    if (fstatSync(fd).nlink > 0) unlinkSync(path)
  } catch (error) {
    if (!hasCode(error, 'EAGAIN')) throw error
  } finally {
    closeSync(fd)
  }
}

/** Removes the locks that were made before that time and that nobody has: each file that was ever mounted has left one. */
export const sweepNamedLocks = (lockDir: string, madeBefore: Date): void => {
  mkdirSync(lockDir, { recursive: true })
  for (const name of readdirSync(lockDir)) removeIfFree(join(lockDir, name), madeBefore)
}
