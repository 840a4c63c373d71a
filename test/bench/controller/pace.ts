import { setTimeout as sleep } from 'node:timers/promises'

/** Begins with each name when its time has come, however long the ones before it take. */
export const paced = <T>(
  names: readonly string[],
  perSecond: number,
  act: (name: string) => Promise<T>,
): Promise<T[]> =>
  Promise.all(
    names.map(async (name, index) => {
      await sleep((index * 1000) / perSecond)
      return act(name)
    }),
  )
