/** How many letters have to be put in, left out, changed or exchanged with their neighbour to make one word of the other. */
const distance = (a: string, b: string): number => {
  const rows: number[][] = [Array.from({ length: b.length + 1 }, (_, column) => column)]
  const at = (row: number, column: number): number => rows[row]?.[column] ?? Number.POSITIVE_INFINITY
  for (let row = 1; row <= a.length; row++) {
    rows.push([row])
    for (let column = 1; column <= b.length; column++) {
      const isSame = a[row - 1] === b[column - 1]
      const isExchanged = a[row - 1] === b[column - 2] && a[row - 2] === b[column - 1]
      rows[row]?.push(
        Math.min(
          at(row - 1, column) + 1,
          at(row, column - 1) + 1,
          at(row - 1, column - 1) + (isSame ? 0 : 1),
          isExchanged ? at(row - 2, column - 2) + 1 : Number.POSITIVE_INFINITY,
        ),
      )
    }
  }
  return at(a.length, b.length)
}

/** Of a short word every other is near. */
const farthest = (word: string): number => Math.min(3, Math.floor(word.length * 0.4))

/** Those that a word may have been meant to be; the nearest alone, or several that are as near. */
export const similarTo = (word: string, known: readonly string[]): string[] => {
  const far = [...new Set(known)].map((each) => ({ each, far: distance(word, each) }))
  const nearest = Math.min(farthest(word), ...far.map(({ far }) => far))
  return far.flatMap(({ each, far }) => (far === nearest && far > 0 ? [each] : [])).toSorted()
}

/** In commander's words for verbs; nothing, where there is none. */
export const didYouMean = (similar: readonly string[]): string => {
  if (similar.length === 0) return ''
  return similar.length === 1 ? `\n(Did you mean ${similar[0]}?)` : `\n(Did you mean one of ${similar.join(', ')}?)`
}
