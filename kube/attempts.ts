import type { Clock } from './clock.ts'

/** When to try again: doubled each time up to a limit. */
export interface Pace {
  firstMs: number
  longestMs: number
}

/**
 * How often each thing has been tried in a row without success: the more, the
 * later it is tried again. Every change of an object calls for a pass, those that
 * tell of its trouble among them: none may come before its time.
 */
export interface Attempts {
  /** Notes one more; the answer is how many there were, and how long to wait. */
  next(key: string, pace: Pace): { count: number; waitMs: number }
  /** How long it must still wait; 0 when it may be tried. */
  remainingMs(key: string): number
  forget(key: string): void
}

/** What has gone for good is not forgotten by name: nobody comes back to it so long after its time. */
const rememberedMs = 3_600_000
const rememberedAtLeast = 1_000

export const createAttempts = (clock: Pick<Clock, 'monotonicMs'>): Attempts => {
  const attempts = new Map<string, { count: number; due: number }>()
  const prune = (): void => {
    if (attempts.size < rememberedAtLeast) return
    for (const [key, { due }] of attempts) if (due + rememberedMs < clock.monotonicMs()) attempts.delete(key)
  }
  return {
    next: (key, { firstMs, longestMs }) => {
      prune()
      const count = (attempts.get(key)?.count ?? 0) + 1
      const waitMs = Math.min(firstMs * 2 ** (count - 1), longestMs)
      attempts.set(key, { count, due: clock.monotonicMs() + waitMs })
      return { count, waitMs }
    },
    remainingMs: (key) => Math.max(0, (attempts.get(key)?.due ?? 0) - clock.monotonicMs()),
    forget: (key) => attempts.delete(key),
  }
}
