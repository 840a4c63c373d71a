/** Whether the error is a system's or Node's with one of the codes (`ENOSPC`). */
export const hasErrorCode = (error: unknown, ...codes: string[]): boolean =>
  error instanceof Error && 'code' in error && typeof error.code === 'string' && codes.includes(error.code)
