import type { Clock } from '../../../kube/clock.ts'

/** When to try again: doubled each time up to a limit. */
export interface Pace {
  firstMs: number
  longestMs: number
}

/**
 * How often each pod has been tried in a row without success: the more, the
 * later it is tried again. Every change of a pod calls for a pass, those that
 * tell of its trouble among them: none may come before its time.
 */
export interface Attempts {
  /** Notes one more; the answer is how many there were, and how long to wait. */
  next(podUID: string, pace: Pace): { count: number; waitMs: number }
  /** How long the pod must still wait; 0 when it may be tried. */
  remainingMs(podUID: string): number
  forget(podUID: string): void
}

export const createAttempts = (clock: Pick<Clock, 'now'>): Attempts => {
  const attempts = new Map<string, { count: number; due: number }>()
  const now = (): number => clock.now().getTime()
  return {
    next: (podUID, { firstMs, longestMs }) => {
      const count = (attempts.get(podUID)?.count ?? 0) + 1
      const waitMs = Math.min(firstMs * 2 ** (count - 1), longestMs)
      attempts.set(podUID, { count, due: now() + waitMs })
      return { count, waitMs }
    },
    remainingMs: (podUID) => Math.max(0, (attempts.get(podUID)?.due ?? 0) - now()),
    forget: (podUID) => attempts.delete(podUID),
  }
}
