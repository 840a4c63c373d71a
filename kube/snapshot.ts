import * as z from 'zod'
import type { WatchEvent } from './client.ts'
import { formatKey, type KubeObject, type ObjectKey } from './resource.ts'

const identitySchema = z.object({
  metadata: z.object({ namespace: z.string().default(''), name: z.string(), resourceVersion: z.string() }),
})
const bookmarkSchema = z.object({
  metadata: z.object({ resourceVersion: z.string(), annotations: z.record(z.string(), z.string()).optional() }),
})

/** Which object it is, readable or not. */
export type Identity = z.infer<typeof identitySchema>['metadata']

export interface Reader<T> {
  /** Undefined when even that cannot be read, which has been told then. */
  identify(json: unknown): Identity | undefined
  /** Undefined when the object cannot be read, which has been told then. */
  read(json: unknown, identity: Identity): T | undefined
}

/** @param leaveOut is told what cannot be read, and why */
export const createReader = <T>(
  parse: (json: unknown) => T,
  leaveOut: (error: unknown, key: ObjectKey | undefined) => void,
): Reader<T> => ({
  identify: (json) => {
    const identity = identitySchema.safeParse(json)
    if (!identity.success) leaveOut(identity.error, undefined)
    return identity.data?.metadata
  },
  read: (json, identity) => {
    try {
      return parse(json)
    } catch (error) {
      leaveOut(error, identity)
      return undefined
    }
  },
})

/** What a bookmark says: complete up to that version, and, of the first, that all initial events have come (KEP-3157). */
export const readBookmark = (json: unknown): { resourceVersion: string; endsInitialEvents: boolean } => {
  const { resourceVersion, annotations } = bookmarkSchema.parse(json).metadata
  return { resourceVersion, endsInitialEvents: annotations?.['k8s.io/initial-events-end'] === 'true' }
}

/** The state of a kind while it comes in, object by object, before it replaces what is known. */
export interface Snapshot<T> {
  take(type: Exclude<WatchEvent['type'], 'BOOKMARK'>, json: unknown): void
  objects(): T[]
  /** Keys of objects that are there and cannot be read. */
  unreadable(): ReadonlySet<string>
}

export const createSnapshot = <T extends KubeObject>({ identify, read }: Reader<T>): Snapshot<T> => {
  const objects = new Map<string, T>()
  const unreadable = new Set<string>()
  return {
    take: (type, json) => {
      const identity = identify(json)
      if (!identity) return
      const key = formatKey(identity)
      const object = type === 'DELETED' ? undefined : read(json, identity)
      objects.delete(key)
      unreadable.delete(key)
      if (object) objects.set(key, object)
      else if (type !== 'DELETED') unreadable.add(key)
    },
    objects: () => [...objects.values()],
    unreadable: () => unreadable,
  }
}
