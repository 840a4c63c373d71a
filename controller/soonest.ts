import type { Result } from './context.ts'

/** Of all that call for another pass by their time, the first; no such pass where none does. */
export const soonest = (...afterMs: (number | undefined)[]): Result => {
  const given = afterMs.filter((ms) => ms !== undefined)
  return given.length > 0 ? { requeueAfterMs: Math.min(...given) } : {}
}
