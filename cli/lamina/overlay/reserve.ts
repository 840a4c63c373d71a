import { ftruncateSync } from 'node:fs'
import { hasCode } from '../../../runtime-shim/mount/error-code.ts'
import { fallocate } from '../../../runtime-shim/mount/syscalls.ts'

/**
 * Gives the file its size, with disk space for all of it unless it is to be sparse.
 *
 * @param size bytes
 */
export const reserve = (fd: number, { size, sparse }: { size: number; sparse: boolean }): void => {
  ftruncateSync(fd, size)
  if (sparse) return
  try {
    fallocate(fd, 0, size)
  } catch (error) {
    // Without fallocate(2) there, it is as if it were sparse.
    if (!hasCode(error, 'ENOTSUP', 'ENOSYS')) throw error
  }
}
