import { parseKey } from './resource.ts'

/**
 * Keys that wait, each with the time of its arrival. Namespaces take turns: ten
 * thousand keys of one namespace keep another's waiting for one turn. Within
 * one, the first come is the first served, those that are urgent before the others.
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

/** Those of one namespace. */
type Line = Record<Urgency, Map<string, number>>

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
      const line = lines.get(namespace) ?? { urgent: new Map(), usual: new Map() }
      line[urgency].set(key, since)
      lines.set(namespace, line)
      size++
    },
    next: () => {
      const [turn] = lines
      if (!turn) return undefined
      const [namespace, line] = turn
      const from = line.urgent.size > 0 ? line.urgent : line.usual
      const [first] = from
      lines.delete(namespace)
      if (!first) return undefined
      const [key, since] = first
      from.delete(key)
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
