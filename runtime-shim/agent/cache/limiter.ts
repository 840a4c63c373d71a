/** Runs what it is given, so many at a time; the others wait in the order of their coming. */
export type Limiter = <T>(act: () => Promise<T>) => Promise<T>

export const createLimiter = (most: number): Limiter => {
  const waiting: (() => void)[] = []
  let free = most
  const enter = async (): Promise<void> => {
    if (free > 0) free--
    else await new Promise<void>((resolve) => waiting.push(resolve))
  }
  const leave = (): void => {
    const next = waiting.shift()
    if (next) next()
    else free++
  }
  return async (act) => {
    await enter()
    try {
      return await act()
    } finally {
      leave()
    }
  }
}
