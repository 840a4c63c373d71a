import { closeSync, fstatSync, mkdirSync, openSync, readdirSync, unlinkSync } from 'node:fs'
import { join } from 'node:path'
import { hasCode } from './error-code.ts'
import { flock, lockKind } from './syscalls.ts'
import { retrySync } from './wait.ts'

/** Locks by name, as empty files of one directory. Who has one is alone with the name, among all processes of the node. */

const isHeld = (error: unknown): boolean => hasCode(error, 'EAGAIN')

const lockWithin = (fd: number, waitMs: number | undefined): void => {
  if (waitMs === undefined) flock(fd, lockKind.exclusive, { wait: true })
  else retrySync(() => flock(fd, lockKind.exclusive, { wait: false }), isHeld, { forMs: waitMs, everyMs: 5 })
}

/** An unlinked file is no lock any more: who waited for it may not be alone with the next one's holder. */
const acquire = (path: string, waitMs: number | undefined): number => {
  for (;;) {
    const fd = openSync(path, 'a')
    try {
      lockWithin(fd, waitMs)
      if (fstatSync(fd).nlink > 0) return fd
    } catch (error) {
      closeSync(fd)
      throw error
    }
    closeSync(fd)
  }
}

/**
 * Calls `act` alone with the name.
 *
 * @param waitMs where a holder may take long, how long to wait; EAGAIN is thrown after that
 */
export const withNamedLock = <T>(lockDir: string, name: string, act: () => T, waitMs?: number): T => {
  mkdirSync(lockDir, { recursive: true })
  const fd = acquire(join(lockDir, name), waitMs)
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
    if (!isHeld(error)) throw error
  } finally {
    closeSync(fd)
  }
}

/** Removes the locks that were made before that time and that nobody has: each file that was ever mounted has left one. */
export const sweepNamedLocks = (lockDir: string, madeBefore: Date): void => {
  mkdirSync(lockDir, { recursive: true })
  for (const name of readdirSync(lockDir)) removeIfFree(join(lockDir, name), madeBefore)
}
