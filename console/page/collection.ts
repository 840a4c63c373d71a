import * as z from 'zod'
import { apiErrorOf } from '../../kube/api-error.ts'
import type { Metadata } from '../../kube/resource.ts'

/** The objects of one kind in one namespace, as a list and the events of a watch after it say. */
export interface Collection<T> {
  /** Starts anew with what a list has. */
  reset(items: readonly unknown[]): void
  /** @throws ApiError when the event is the watch's own failure: it has to be listed again */
  take(event: unknown): void
  /** By name. */
  objects(): T[]
}

const eventSchema = z.object({ type: z.string(), object: z.unknown() })
const namedSchema = z.object({ metadata: z.object({ name: z.string() }) })

/** @param schema what is not as it says is left out: a newer version of Lamina may have made it */
export const createCollection = <T extends { metadata: Metadata }>(schema: z.ZodType<T>): Collection<T> => {
  const objects = new Map<string, T>()
  const put = (json: unknown): void => {
    const { success, data } = schema.safeParse(json)
    if (success) objects.set(data.metadata.name, data)
  }
  return {
    reset: (items) => {
      objects.clear()
      items.forEach(put)
    },
    take: (json) => {
      const { type, object } = eventSchema.parse(json)
      if (type === 'ERROR') throw apiErrorOf('WATCH', 500, object)
      if (type === 'BOOKMARK') return
      objects.delete(namedSchema.parse(object).metadata.name)
      if (type !== 'DELETED') put(object)
    },
    objects: () => [...objects.values()].toSorted((a, b) => a.metadata.name.localeCompare(b.metadata.name)),
  }
}
