import { formatDuration } from '../../shared/age.ts'

/** What a line of a node's agent tells of a fetch: bytes, or steps. */
interface Fetched {
  mebibytes: number
  totalMebibytes: number
}

const fetchedIn = (line: string): Fetched | undefined => {
  const [, mebibytes, totalMebibytes] = /downloaded (\d+) MiB of (\d+) MiB/.exec(line) ?? []
  return mebibytes === undefined ? undefined : { mebibytes: Number(mebibytes), totalMebibytes: Number(totalMebibytes) }
}

const flattened = /flattening layer (\d+) of (\d+)( by plan)?/

/** A second pass, of few images, is one that the first did not reckon with: its per cent would go back. */
const flattenedWords = (line: string): string => {
  const [, layer, layers, byPlan] = flattened.exec(line) ?? []
  if (layer === undefined) return line
  const percent = Math.floor(((Number(layer) - 1) / Number(layers)) * 100)
  return byPlan === undefined ? `${line} (${percent} %)` : `${line} (second pass)`
}

/** So long the speed is not believed. */
const leastMs = 2_000

/**
 * Says a line of progress with what it lets expect: how fast, and how long still.
 * Speed is that since the first line: registries do not keep theirs.
 */
export const createProgress = () => {
  let first: { mebibytes: number; atMs: number } | undefined
  return {
    words: (line: string, nowMs: number): string => {
      const fetched = fetchedIn(line)
      if (!fetched) {
        first = undefined
        return flattenedWords(line)
      }
      first ??= { mebibytes: fetched.mebibytes, atMs: nowMs }
      const passedMs = nowMs - first.atMs
      const came = fetched.mebibytes - first.mebibytes
      if (passedMs < leastMs || came <= 0) return line
      const perSecond = (came / passedMs) * 1000
      const left = (fetched.totalMebibytes - fetched.mebibytes) / perSecond
      return `${line}, ${perSecond.toFixed(1)} MiB/s, about ${formatDuration(left)} left`
    },
  }
}
