import { parseKey } from './resource.ts'

/**
 * Keys that wait, each with the time of its arrival. Namespaces take turns: ten
 * thousand keys of one namespace keep another's waiting for one turn. Within
 * one, those that are urgent have every other turn, and of each sort the first
 * come is the first served.
 */
export interface FairLine {
  has(key: string): boolean
  /** Of a key that does not wait. */
  add(key: string, since: number, urgency?: Urgency): void
  /** Whose turn it is; undefined when nobody waits. */
  next(): { key: string; since: number } | undefined
  size(): number
  clear(): void
}

export type Urgency = 'urgent' | 'usual'

/** Those of one namespace, and whose turn was the last. */
type Line = Record<Urgency, Map<string, number>> & { last: Urgency }

export const createFairLine = (): FairLine => {
  /** By namespace, in the order of their turns; none is empty. */
  const lines = new Map<string, Line>()
  let size = 0
  return {
    has: (key) => {
      const line = lines.get(parseKey(key).namespace)
      return line !== undefined && (line.urgent.has(key) || line.usual.has(key))
    },
    add: (key, since, urgency = 'usual') => {
      const { namespace } = parseKey(key)
      const line = lines.get(namespace) ?? { urgent: new Map(), usual: new Map(), last: 'usual' }
      line[urgency].set(key, since)
      lines.set(namespace, line)
      size++
    },
    next: () => {
      const [foremost] = lines
      if (!foremost) return undefined
      const [namespace, line] = foremost
      const turn = line.usual.size === 0 || (line.urgent.size > 0 && line.last === 'usual') ? 'urgent' : 'usual'
      const [first] = line[turn]
      lines.delete(namespace)
      if (!first) return undefined
      const [key, since] = first
      line[turn].delete(key)
      line.last = turn
      size--
      // Its next turn comes after all others'.
      if (line.urgent.size + line.usual.size > 0) lines.set(namespace, line)
      return { key, since }
    },
    size: () => size,
    clear: () => {
      lines.clear()
      size = 0
    },
  }
}
