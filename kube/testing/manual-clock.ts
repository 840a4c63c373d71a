import { setImmediate as turn } from 'node:timers/promises'
import type { Clock } from '../clock.ts'

/** A clock that stands still until a test moves it. */
export interface ManualClock extends Clock {
  /** Moves on by `ms`: timers fire at their times, and what they set off runs before the next. */
  advance(ms: number): Promise<void>
  /** Time passes and nothing runs, as in a process that is paused: timers that are due fire at the next `advance`. */
  pass(ms: number): void
  /** Sets the time of day: what counts milliseconds does not notice. */
  setBy(ms: number): void
  /** Timers that wait. */
  pending(): number
}

export const createManualClock = (start = Date.UTC(2026, 0, 1)): ManualClock => {
  let now = start
  let offset = 0
  const timers = new Set<{ at: number; fn: () => void }>()
  return {
    now: () => new Date(now + offset),
    monotonicMs: () => now,
    setTimeout: (fn, ms) => {
      const timer = { at: now + ms, fn }
      timers.add(timer)
      return () => timers.delete(timer)
    },
    advance: async (ms) => {
      const end = now + ms
      await turn()
      for (;;) {
        const [next] = [...timers].filter(({ at }) => at <= end).sort((a, b) => a.at - b.at)
        if (!next) break
        timers.delete(next)
        now = Math.max(now, next.at)
        next.fn()
        await turn()
      }
      now = Math.max(now, end)
      await turn()
    },
    pass: (ms) => {
      now += ms
    },
    setBy: (ms) => {
      offset += ms
    },
    pending: () => timers.size,
  }
}
