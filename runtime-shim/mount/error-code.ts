import { getSystemErrorName } from 'node:util'

/** Whether the error is the system's or Node's own with one of the codes (`ENOENT`). */
export const hasCode = (error: unknown, ...codes: string[]): boolean =>
  error instanceof Error && 'code' in error && typeof error.code === 'string' && codes.includes(error.code)

/** What a file system answers that contradicts itself (errno(3)), and Node has no name for. */
export const corruptionCodes: Readonly<Record<number, string>> = { 74: 'EBADMSG', 117: 'EUCLEAN' }

const EIO = 5

/** Whether a file system contradicts itself, or cannot be read. */
export const isCorruption = (error: unknown): boolean =>
  error instanceof Error &&
  'errno' in error &&
  typeof error.errno === 'number' &&
  (error.errno === -EIO || (-error.errno) in corruptionCodes)

/** The system's name for what went wrong, else all of the error's words. */
export const shortly = (error: unknown): string => {
  if (!(error instanceof Error && 'errno' in error && typeof error.errno === 'number')) return String(error)
  return corruptionCodes[-error.errno] ?? getSystemErrorName(error.errno)
}
