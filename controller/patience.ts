/** How long something that is to be told may wait for more to tell, in ms. */
export interface Patience {
  usualMs: number
  /** While there is a reason for that. */
  longMs: number
}

const seldomMs = 60_000

/**
 * How many milliseconds it may wait on; 0 when it is to be told now. After the
 * usual time it is looked at again, the later the longer it has waited, but once a minute.
 *
 * @param sinceMs when it began to wait, as the API server has it, whose clock is not ours
 */
export const waitsOn = (
  { usualMs, longMs }: Patience,
  { sinceMs, now, isLong }: { sinceMs: number; now: Date; isLong: boolean },
): number => {
  const ageMs = Math.max(0, now.getTime() - sinceMs)
  if (ageMs < usualMs) return usualMs - ageMs
  return isLong ? Math.max(0, Math.min(ageMs, seldomMs, longMs - ageMs)) : 0
}
