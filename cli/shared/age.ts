const units = [
  ['d', 86_400],
  ['h', 3_600],
  ['m', 60],
  ['s', 1],
] as const

/** Beyond so many of a unit, the next smaller one tells nothing any more: `90s`, `9m30s`, `3h`, `12d`. */
const exactBelow = { d: 8, h: 8, m: 10, s: 1 } as const

/** How long, in a word or two, as kubectl has it in its column AGE. */
export const formatDuration = (seconds: number): string => {
  const whole = Math.max(0, Math.floor(seconds))
  if (whole < 120) return `${whole}s`
  const index = units.findIndex(([, length]) => whole >= length)
  const [unit, length] = units[index] ?? ['s', 1]
  const count = Math.floor(whole / length)
  const smaller = units[index + 1]
  const rest = smaller && count < exactBelow[unit] ? Math.floor((whole % length) / smaller[1]) : 0
  return rest > 0 && smaller ? `${count}${unit}${rest}${smaller[0]}` : `${count}${unit}`
}

/** @param since RFC 3339; `<unknown>` for none */
export const ageOf = (since: string | undefined, now: Date): string => {
  const start = since === undefined ? Number.NaN : Date.parse(since)
  return Number.isNaN(start) ? '<unknown>' : formatDuration((now.getTime() - start) / 1000)
}
