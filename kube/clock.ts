/** Time, as something that tests can hand in. */
export interface Clock {
  now(): Date
  /** Milliseconds since some moment, on a clock that nobody sets: for how long something took or still has. */
  monotonicMs(): number
  /** Runs `fn` once after `ms`; the answer takes that back. */
  setTimeout(fn: () => void, ms: number): () => void
}

/** Node fires longer timers at once. */
const longestTimeout = 2 ** 31 - 1

/** The second's precision that the Kubernetes API has for times. */
export const timestamp = (time: Date): string => `${time.toISOString().slice(0, 19)}Z`

export const systemClock: Clock = {
  now: () => new Date(),
  monotonicMs: () => performance.now(),
  setTimeout: (fn, ms) => {
    const timer = setTimeout(fn, Math.min(ms, longestTimeout))
    return () => clearTimeout(timer)
  },
}

/** Resolves after `ms`, or at once when the signal is aborted: who waits looks at the signal again. */
export const pause = (clock: Clock, ms: number, signal: AbortSignal): Promise<void> =>
  new Promise((resolve) => {
    if (signal.aborted) return resolve()
    const end = (): void => {
      cancel()
      signal.removeEventListener('abort', end)
      resolve()
    }
    const cancel = clock.setTimeout(end, ms)
    signal.addEventListener('abort', end, { once: true })
  })

/** The promise's result, or undefined when the signal is aborted first. Unlike a race with a long-lived promise, it leaves nothing behind. */
export const unlessAborted = <T>(promise: Promise<T>, signal: AbortSignal): Promise<T | undefined> =>
  new Promise((resolve, reject) => {
    const give = (): void => resolve(undefined)
    if (signal.aborted) give()
    signal.addEventListener('abort', give, { once: true })
    promise.then(resolve, reject).finally(() => signal.removeEventListener('abort', give))
  })
