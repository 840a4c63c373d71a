import { fstatSync } from 'node:fs'
import { hasCode } from './error-code.ts'
import { flock, lockKind, lockWholeRange } from './syscalls.ts'

/** Another mount, here or by Apptainer, uses the image in a way that excludes ours. */
export class LockHeldError extends Error {
  override name = 'LockHeldError'
}

type LockKind = 'shared' | 'exclusive'

/**
 * Takes the two locks of an image on the descriptor that later goes to
 * LOOP_CONFIGURE: a flock, and an open-file-description lock on the whole range,
 * which Apptainer respects. The loop device keeps the open file, so the locks
 * live exactly as long as the mount.
 *
 * @throws LockHeldError
 */
export const lockImage = (fd: number, kind: LockKind, path: string): void => {
  try {
    flock(fd, lockKind[kind], { wait: false })
    lockWholeRange(fd, kind === 'exclusive' ? 'write' : 'read')
  } catch (cause) {
    if (!hasCode(cause, 'EAGAIN', 'EACCES')) throw cause
    const use = kind === 'exclusive' ? 'in use' : 'in use for writing'
    throw new LockHeldError(`${path} is ${use} by another mount on this node`, { cause })
  }
}

/**
 * The same for an image of the cache, which may be collected between open and
 * lock: a file without a name is none.
 *
 * @throws LockHeldError; ENOENT
 */
export const lockListedImage = (fd: number, kind: LockKind, path: string): void => {
  lockImage(fd, kind, path)
  if (fstatSync(fd).nlink === 0) throw Object.assign(new Error(`${path} has just been removed`), { code: 'ENOENT' })
}
