import { backoffMs } from './backoff.ts'
import { type Clock, pause } from './clock.ts'

/** Holds requests back while the API server asks for that. One refusal holds all: the next would meet the same. */
export interface FlowControl {
  /** Resolves when requests may be sent. */
  open(): Promise<void>
  hold(ms: number): void
}

export const createFlowControl = (clock: Clock): FlowControl => {
  let until = Number.NEGATIVE_INFINITY
  const never = new AbortController().signal
  return {
    open: async () => {
      for (let ms = until - clock.monotonicMs(); ms > 0; ms = until - clock.monotonicMs()) {
        await pause(clock, ms, never)
      }
    },
    hold: (ms) => {
      until = Math.max(until, clock.monotonicMs() + ms)
    },
  }
}

/** An answer, as far as it says whether to ask again. */
export interface Refusal {
  method: string
  status: number
  /** Of the header: seconds. */
  retryAfter: string | undefined
  /** How often the request has been refused before. */
  tries: number
}

export const retriesAtMost = 5
const longestMs = 10_000
const unasked = { baseMs: 500, capMs: longestMs } as const

/**
 * Milliseconds until the request is sent again; undefined when the answer
 * stands. 429: the server has not begun it, whatever it is. 5xx with a time: it
 * may have, so only what changes nothing is asked again.
 */
export const retryDelay = (
  { method, status, retryAfter, tries }: Refusal,
  random: () => number,
): number | undefined => {
  if (tries >= retriesAtMost) return undefined
  const seconds = retryAfter === undefined ? Number.NaN : Number(retryAfter)
  const asked = Number.isFinite(seconds) ? Math.min(Math.max(seconds, 0) * 1000, longestMs) : undefined
  if (status === 429 && asked === undefined) return backoffMs(tries + 1, unasked, random)
  const mayRepeat = status === 429 || (status >= 500 && method === 'GET')
  // Later than asked by up to a quarter: those refused together must not come back together.
  return mayRepeat && asked !== undefined ? asked * (1 + random() / 4) : undefined
}
