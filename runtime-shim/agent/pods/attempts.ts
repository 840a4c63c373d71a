/** How often a pod has been tried in a row without success: the more, the later it is tried again. */
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

/** When to try again: doubled each time up to a limit. */
export interface Pace {
  firstMs: number
  longestMs: number
}

export const retryAfterMs = (attempt: number, { firstMs, longestMs }: Pace): number =>
  Math.min(firstMs * 2 ** (attempt - 1), longestMs)
