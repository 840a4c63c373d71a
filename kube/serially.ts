/** A lock for each key, first come first served; forgotten when nobody waits. */
export const createSerializer = (): (<T>(key: string, act: () => Promise<T>) => Promise<T>) => {
  const tails = new Map<string, Promise<unknown>>()
  return (key, act) => {
    const before = tails.get(key) ?? Promise.resolve()
    const turn = before.then(act, act)
    const tail = turn
      .catch(() => {})
      .then(() => {
        if (tails.get(key) === tail) tails.delete(key)
      })
    tails.set(key, tail)
    return turn
  }
}

/** A lock over several keys at once. All take theirs in one order, so that no two wait for each other. */
export const createJointSerializer = (): (<T>(keys: readonly string[], act: () => Promise<T>) => Promise<T>) => {
  const serially = createSerializer()
  return <T>(keys: readonly string[], act: () => Promise<T>) =>
    [...new Set(keys)].toSorted().reduceRight<() => Promise<T>>((inner, key) => () => serially(key, inner), act)()
}
