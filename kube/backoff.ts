/**
 * Delay before try number `failures` (1 is the first after a failure): doubles
 * from `baseMs` to `capMs`, and is drawn from the upper half of that, so that
 * those who failed together do not come back together.
 */
export const backoffMs = (
  failures: number,
  { baseMs, capMs }: { baseMs: number; capMs: number },
  random: () => number,
): number => {
  const whole = Math.min(baseMs * 2 ** Math.min(failures - 1, 40), capMs)
  return whole * (0.5 + random() / 2)
}
