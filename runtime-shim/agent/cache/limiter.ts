/** Somebody's wish to run. */
export interface Turn {
  /** Whose; of nobody in particular when left out. */
  namespace?: string | undefined
  /** Whether nobody waits for it, which may change: then `look` is to be called. */
  beforehand(): boolean
  /** Ends the wait. */
  signal: AbortSignal
}

/**
 * Runs so many at a time. Half of the places is the most for one namespace, and
 * for what nobody waits for: neither keeps others from theirs, however long it
 * takes. Of those that wait, the namespace with the fewest running comes first.
 */
export interface Limiter {
  /** @throws the signal's reason, when it is aborted before the turn comes */
  run<T>(turn: Turn, act: () => Promise<T>): Promise<T>
  look(): void
}

interface Waiting {
  turn: Turn
  go(): void
}

export const createLimiter = (most: number): Limiter => {
  const half = Math.ceil(most / 2)
  const running = new Set<Turn>()
  const waiting = new Set<Waiting>()

  const count = (isMeant: (turn: Turn) => boolean): number => [...running].filter(isMeant).length
  const runningOf = ({ namespace }: Turn): number =>
    namespace === undefined ? 0 : count((other) => other.namespace === namespace)

  const mayRun = ({ turn }: Waiting): boolean =>
    running.size < most && runningOf(turn) < half && (!turn.beforehand() || count((other) => other.beforehand()) < half)

  const first = (): Waiting | undefined =>
    [...waiting]
      .filter(mayRun)
      .toSorted(
        (a, b) => Number(a.turn.beforehand()) - Number(b.turn.beforehand()) || runningOf(a.turn) - runningOf(b.turn),
      )[0]

  const look: Limiter['look'] = () => {
    for (let next = first(); next; next = first()) {
      waiting.delete(next)
      running.add(next.turn)
      next.go()
    }
  }

  const enter = (turn: Turn): Promise<void> =>
    new Promise((resolve, reject) => {
      turn.signal.throwIfAborted()
      const giveUp = (): void => {
        if (waiting.delete(mine)) reject(turn.signal.reason)
      }
      const go = (): void => {
        turn.signal.removeEventListener('abort', giveUp)
        resolve()
      }
      const mine = { turn, go }
      waiting.add(mine)
      turn.signal.addEventListener('abort', giveUp, { once: true })
      look()
    })

  return {
    run: async (turn, act) => {
      await enter(turn)
      try {
        return await act()
      } finally {
        running.delete(turn)
        look()
      }
    },
    look,
  }
}
