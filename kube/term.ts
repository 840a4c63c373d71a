import type { Clock } from './clock.ts'

/**
 * For how long a leader may write. It ends by the clock, whether or not
 * anything runs: a process that was paused finds it over before its timers have
 * told anybody.
 */
export interface Term {
  /** @param untilMs by {@link Clock.monotonicMs} */
  extend(untilMs: number): void
  end(): void
  isOn(): boolean
}

export const createTerm = (clock: Pick<Clock, 'monotonicMs'>): Term => {
  let until = Number.NEGATIVE_INFINITY
  return {
    extend: (untilMs) => {
      until = untilMs
    },
    end: () => {
      until = Number.NEGATIVE_INFINITY
    },
    isOn: () => clock.monotonicMs() < until,
  }
}
