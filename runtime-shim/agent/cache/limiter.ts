/** Somebody's wish to run. */
export interface Turn<Kind extends string = string> {
  /** Of which kind's places one is wanted. */
  kind: Kind
  /** Whose; of nobody in particular when left out. */
  namespace?: string | undefined
  /** Whether nobody waits for it, which may change: then `look` is to be called. */
  beforehand(): boolean
  /** Ends the wait. */
  signal: AbortSignal
}

/**
 * Runs so many of each kind at a time. What nobody waits for gets half of the places
 * at most. A namespace has a right to half of them; while no other waits it may
 * borrow the rest, and what it has borrowed takes no place from others: for them
 * there are more then. Of those that wait, the namespace with the fewest running
 * comes first.
 */
export interface Limiter<Kind extends string> {
  /** @throws the signal's reason, when it is aborted before the turn comes */
  run<T>(turn: Turn<Kind>, act: () => Promise<T>): Promise<T>
  look(): void
}

interface Waiting<Kind extends string> {
  turn: Turn<Kind>
  go(): void
}

/** @param beforehandAtOnce so many that nobody waits for run at a time, of all kinds together */
export const createLimiter = <Kind extends string>(
  places: Readonly<Record<Kind, number>>,
  beforehandAtOnce = Number.POSITIVE_INFINITY,
): Limiter<Kind> => {
  const running = new Set<Turn<Kind>>()
  const waiting = new Set<Waiting<Kind>>()

  const halfOf = (kind: Kind): number => Math.ceil(places[kind] / 2)
  const ofKind = (kind: Kind): Turn<Kind>[] => [...running].filter((turn) => turn.kind === kind)
  const runningOf = ({ kind, namespace }: Pick<Turn<Kind>, 'kind' | 'namespace'>): number =>
    namespace === undefined ? 0 : ofKind(kind).filter((turn) => turn.namespace === namespace).length

  const borrowed = (kind: Kind): number => {
    const namespaces = new Set(ofKind(kind).map(({ namespace }) => namespace))
    const beyondHalf = (namespace: string | undefined) => Math.max(0, runningOf({ kind, namespace }) - halfOf(kind))
    return [...namespaces].reduce((sum, namespace) => sum + beyondHalf(namespace), 0)
  }

  const hasPlace = (turn: Turn<Kind>): boolean => {
    const { kind } = turn
    const isOwn = runningOf(turn) < halfOf(kind)
    return ofKind(kind).length - (isOwn ? borrowed(kind) : 0) < places[kind]
  }

  const mayComeBeforehand = ({ kind }: Turn<Kind>): boolean => {
    const others = [...running].filter((turn) => turn.beforehand())
    return others.length < beforehandAtOnce && others.filter((turn) => turn.kind === kind).length < halfOf(kind)
  }

  const mayRun = ({ turn }: Waiting<Kind>): boolean => hasPlace(turn) && (!turn.beforehand() || mayComeBeforehand(turn))

  const first = (): Waiting<Kind> | undefined =>
    [...waiting]
      .filter(mayRun)
      .toSorted(
        (a, b) => Number(a.turn.beforehand()) - Number(b.turn.beforehand()) || runningOf(a.turn) - runningOf(b.turn),
      )[0]

  const look: Limiter<Kind>['look'] = () => {
    for (let next = first(); next; next = first()) {
      waiting.delete(next)
      running.add(next.turn)
      next.go()
    }
  }

  const enter = (turn: Turn<Kind>): Promise<void> =>
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
