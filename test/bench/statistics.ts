/** Sorts a copy; of an even number the upper of the middle two. */
export const median = (values: readonly number[]): number => {
  const middle = values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)]
  if (middle === undefined) throw new Error('the median of nothing')
  return middle
}

export const milliseconds = (value: number): string => `${value.toFixed(1)} ms`

export const ratio = (ours: number, reference: number): string => (ours / reference).toFixed(2)
