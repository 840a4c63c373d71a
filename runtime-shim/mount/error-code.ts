/** Whether the error is the system's or Node's own with one of the codes (`ENOENT`). */
export const hasCode = (error: unknown, ...codes: string[]): boolean =>
  error instanceof Error && 'code' in error && typeof error.code === 'string' && codes.includes(error.code)
