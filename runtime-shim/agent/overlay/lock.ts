import { closeSync, fstatSync, mkdirSync, openSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { assertUnclaimed } from '../../mount/device.ts'
import { hasCode } from '../../mount/error-code.ts'
import { LockHeldError, lockImage } from '../../mount/lock.ts'
import type { DeviceNumbers } from '../../mount/parts.ts'
import { flock, lockKind } from '../../mount/syscalls.ts'

const defaultWaitMs = 30_000
const everyMs = 50

/**
 * Asks until what it wants is not held any more, or the time is up.
 *
 * @throws LockHeldError
 */
export const within = async <T>(waitMs: number | undefined, ask: () => T): Promise<T> => {
  const deadline = performance.now() + (waitMs ?? defaultWaitMs)
  for (;;) {
    try {
      return ask()
    } catch (error) {
      if (!(error instanceof LockHeldError) || performance.now() > deadline) throw error
    }
    await sleep(everyMs)
  }
}

/**
 * Takes the exclusive lock of an image, as soon as it is free.
 *
 * @throws LockHeldError when it is not in time
 */
export const lockWithin = (fd: number, path: string, waitMs?: number): Promise<void> =>
  within(waitMs, () => lockImage(fd, 'exclusive', path))

const acquireNamed = (path: string, what: string): number => {
  const fd = openSync(path, 'a')
  try {
    flock(fd, lockKind.exclusive, { wait: false })
    // A sweep unlinks what nobody has: an unlinked file is no lock any more.
    if (fstatSync(fd).nlink > 0) return fd
    throw new LockHeldError(`${what} is just being let go`)
  } catch (error) {
    closeSync(fd)
    if (hasCode(error, 'EAGAIN')) throw new LockHeldError(`${what} is being mounted on this node`, { cause: error })
    throw error
  }
}

/**
 * Keeps the node's mounts away from a device: takes the lock that they look at it
 * under, and sees that nobody has it, a tool of an agent that was killed included.
 *
 * @param fd of the device
 * @returns the lock's descriptor
 * @throws LockHeldError when it is not free in time
 */
export const lockDevice = (
  fd: number,
  { major, minor }: DeviceNumbers,
  { lockDir, waitMs }: { lockDir: string; waitMs?: number | undefined },
): Promise<number> => {
  mkdirSync(lockDir, { recursive: true })
  const what = `block device ${major}:${minor}`
  return within(waitMs, () => {
    const lock = acquireNamed(join(lockDir, `device-${major}-${minor}`), what)
    try {
      assertUnclaimed(fd, what)
      return lock
    } catch (error) {
      closeSync(lock)
      throw error
    }
  })
}
