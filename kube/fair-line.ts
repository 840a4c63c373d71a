import { parseKey } from './resource.ts'

/**
 * Keys that wait, each with the time of its arrival. Namespaces take turns, and
 * within one the first come is the first served: ten thousand keys of one
 * namespace keep another's waiting for one turn.
 */
export interface FairLine {
  has(key: string): boolean
  /** Of a key that does not wait. */
  add(key: string, since: number): void
  /** Whose turn it is; undefined when nobody waits. */
  next(): { key: string; since: number } | undefined
  size(): number
  clear(): void
}

export const createFairLine = (): FairLine => {
  /** By namespace, in the order of their turns; none is empty. */
  const lines = new Map<string, Map<string, number>>()
  let size = 0
  return {
    has: (key) => lines.get(parseKey(key).namespace)?.has(key) ?? false,
    add: (key, since) => {
      const { namespace } = parseKey(key)
      const line = lines.get(namespace) ?? new Map<string, number>()
      lines.set(namespace, line.set(key, since))
      size++
    },
    next: () => {
      const [turn] = lines
      if (!turn) return undefined
      const [namespace, line] = turn
      const [first] = line
      lines.delete(namespace)
      if (!first) return undefined
      const [key, since] = first
      line.delete(key)
      size--
      // Its next turn comes after all others'.
      if (line.size > 0) lines.set(namespace, line)
      return { key, since }
    },
    size: () => size,
    clear: () => {
      lines.clear()
      size = 0
    },
  }
}
