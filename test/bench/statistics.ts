/** Sorts a copy; of an even number the upper of the middle two. */
export const median = (values: readonly number[]): number => {
  const middle = values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)]
  if (middle === undefined) throw new Error('the median of nothing')
  return middle
}

export const milliseconds = (value: number): string => `${value.toFixed(1)} ms`

export const ratio = (ours: number, reference: number): string => (ours / reference).toFixed(2)

/** The smallest value that so large a share of them does not exceed. */
const quantile = (sorted: readonly number[], share: number): number =>
  sorted[Math.max(0, Math.ceil(sorted.length * share) - 1)] ?? Number.NaN

export const quantiles = (values: readonly number[]) => {
  const sorted = values.toSorted((a, b) => a - b)
  const of = (share: number): number => Math.round(quantile(sorted, share) * 10) / 10
  return { p50: of(0.5), p90: of(0.9), p99: of(0.99), most: of(1) }
}
