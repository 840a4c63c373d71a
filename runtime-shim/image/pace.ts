/** What a download must bring to be gone on with: it keeps others from theirs meanwhile. */
export interface Pace {
  /** It ends when nothing has come for so long. */
  silenceMs: number
  /** It ends when so long has brought less than… */
  windowMs: number
  /** …this, on average. */
  bytesPerSecond: number
}

export const usualPace: Pace = { silenceMs: 60_000, windowMs: 300_000, bytesPerSecond: 64 * 2 ** 10 }

/** At most so many points of time are remembered in a window. */
const resolution = 30

const seconds = (ms: number): string => `${ms / 1000} s`

/**
 * Judges a download by how many bytes have come so far, each time it is asked.
 *
 * @returns why it is given up, in words; undefined while it may go on
 */
export const createJudge = (
  { silenceMs, windowMs, bytesPerSecond }: Pace,
  now: () => number = () => performance.now(),
): ((bytes: number) => string | undefined) => {
  const start = { at: now(), bytes: 0 }
  let points = [start]
  let last = start
  return (bytes) => {
    const at = now()
    if (bytes > last.bytes) last = { at, bytes }
    if (at - last.at >= silenceMs) return `nothing came for ${seconds(silenceMs)}`
    if (at - (points.at(-1)?.at ?? 0) >= windowMs / resolution) points.push({ at, bytes })
    const from = points.findLast((point) => at - point.at >= windowMs)
    if (!from) return undefined
    points = points.slice(points.indexOf(from))
    const came = bytes - from.bytes
    return came < (bytesPerSecond * (at - from.at)) / 1000
      ? `only ${Math.ceil(came / 1024)} KiB came within ${seconds(windowMs)}`
      : undefined
  }
}
