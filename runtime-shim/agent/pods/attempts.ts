/** How often a pod has met trouble in a row: the more, the later it is tried again. */
export interface Attempts {
  next(podUID: string): number
  forget(podUID: string): void
}

export const createAttempts = (): Attempts => {
  const counts = new Map<string, number>()
  return {
    next: (podUID) => {
      const count = (counts.get(podUID) ?? 0) + 1
      counts.set(podUID, count)
      return count
    },
    forget: (podUID) => counts.delete(podUID),
  }
}

const firstMs = 20
const longestMs = 10_000

/** 20 ms, doubled each time up to a limit. */
export const retryAfterMs = (attempt: number, limitMs = longestMs): number =>
  Math.min(firstMs * 2 ** (attempt - 1), limitMs)
