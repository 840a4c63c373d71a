import { hasCode } from './error-code.ts'
import { flock, lockKind, lockWholeRange } from './syscalls.ts'

/** Another mount, here or by Apptainer, uses the image in a way that excludes ours. */
export class LockHeldError extends Error {
  override name = 'LockHeldError'
}

/**
 * Takes the two locks of an image on the descriptor that later goes to
 * LOOP_CONFIGURE: a flock, and an open-file-description lock on the whole range,
 * which Apptainer respects. The loop device keeps the open file, so the locks
 * live exactly as long as the mount.
 *
 * @throws LockHeldError
 */
export const lockImage = (fd: number, kind: 'shared' | 'exclusive', path: string): void => {
  try {
    flock(fd, lockKind[kind], { wait: false })
    lockWholeRange(fd, kind === 'exclusive' ? 'write' : 'read')
  } catch (cause) {
    if (!hasCode(cause, 'EAGAIN', 'EACCES')) throw cause
    const use = kind === 'exclusive' ? 'in use' : 'in use for writing'
    throw new LockHeldError(`${path} is ${use} by another mount on this node`, { cause })
  }
}
