/** So long who sits before a terminal is kept waiting for what only a person can mend: a registry that is away for a moment is tried again. */
const patienceMs = 20_000

/** A wait that ends when something has stood in the way for long enough, although nothing new is told of it. */
export interface Patience {
  /** Aborted with what stood in the way last. */
  signal: AbortSignal
  /** This is in the way now. */
  wear(why: Error): void
  /** It goes on; what was spent stays spent, or two troubles in turn would never end. */
  rest(): void
}

export const createPatience = (longestMs = patienceMs): Patience => {
  const spent = new AbortController()
  let leftMs = longestMs
  let last: Error | undefined
  let worn: { sinceMs: number; timer: NodeJS.Timeout } | undefined
  const rest = (): void => {
    if (!worn) return
    clearTimeout(worn.timer)
    leftMs -= performance.now() - worn.sinceMs
    worn = undefined
  }
  const wear = (why: Error): void => {
    last = why
    worn ??= { sinceMs: performance.now(), timer: setTimeout(() => spent.abort(last), Math.max(0, leftMs)) }
  }
  return { signal: spent.signal, wear, rest }
}
