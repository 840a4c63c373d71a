import * as z from 'zod'
import { formatKey } from '../../kube/resource.ts'
import type { Look } from './follow.ts'

const identitySchema = z.object({
  metadata: z.object({ namespace: z.string().default(''), name: z.string(), resourceVersion: z.string() }),
})

export interface Change {
  type: 'ADDED' | 'MODIFIED' | 'DELETED'
  /** As it is now; of a deleted one, as it was last. */
  object: unknown
}

interface Known {
  resourceVersion: string
  object: unknown
}

/** Of each look, what those before it have not told: a watch begins anew from time to time, and then all are listed again. */
export const createChanges = (): ((look: Look) => Change[]) => {
  let known = new Map<string, Known>()

  const read = (object: unknown): [key: string, Known] => {
    const { metadata } = identitySchema.parse(object)
    return [formatKey(metadata), { resourceVersion: metadata.resourceVersion, object }]
  }

  const newsOf = (before: Known | undefined, now: Known): Change[] => {
    if (before?.resourceVersion === now.resourceVersion) return []
    return [{ type: before ? 'MODIFIED' : 'ADDED', object: now.object }]
  }

  return (look) => {
    if (look.kind === 'all') {
      const [before, now] = [known, new Map(look.items.map(read))]
      known = now
      return [
        ...[...now].flatMap(([key, each]) => newsOf(before.get(key), each)),
        ...[...before].flatMap(([key, { object }]): Change[] => (now.has(key) ? [] : [{ type: 'DELETED', object }])),
      ]
    }
    const [key, now] = read(look.object)
    const before = known.get(key)
    if (look.type === 'DELETED') {
      known.delete(key)
      return [{ type: 'DELETED', object: look.object }]
    }
    known.set(key, now)
    return newsOf(before, now)
  }
}
