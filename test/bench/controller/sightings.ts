import * as z from 'zod'
import type { KubeClient } from '../../../kube/client.ts'
import { formatKey, type KubeObject, type Resource } from '../../../kube/resource.ts'

/** What decides, and no more: thousands of these come in a burst, on the cores that are measured. */
const seenSchema = z.object({
  metadata: z.object({
    namespace: z.string().default(''),
    name: z.string(),
    generation: z.number().optional(),
    resourceVersion: z.string(),
  }),
  status: z
    .object({ conditions: z.array(z.object({ type: z.string(), status: z.string() })).default(() => []) })
    .optional(),
})
type Seen = z.infer<typeof seenSchema>

export const ready = ({ status }: Seen): boolean =>
  status?.conditions.some(({ type, status: is }) => type === 'Ready' && is === 'True') ?? false

export const present = (): boolean => true

/** When objects of a kind were first seen to be so, by their keys. */
export interface Sightings {
  /** Of `performance.now()`. */
  at: ReadonlyMap<string, number>
  /** Resolves when there are so many. @throws when they have not come within `seconds` */
  until(count: number, seconds: number): Promise<void>
  stop(): void
}

/** @param namespace '' for all */
export const sightings = async (
  client: KubeClient,
  resource: Resource<KubeObject>,
  namespace: string,
  is: (object: Seen) => boolean,
): Promise<Sightings> => {
  const at = new Map<string, number>()
  const ended = new AbortController()
  let seen = (): void => {}
  let { resourceVersion } = await client.listPage(resource, { namespace, limit: 1 })

  const see = (object: unknown): void => {
    const parsed = seenSchema.parse(object)
    resourceVersion = parsed.metadata.resourceVersion
    const key = formatKey(parsed.metadata)
    if (at.has(key) || !is(parsed)) return
    at.set(key, performance.now())
    seen()
  }
  const follow = async (): Promise<void> => {
    // The API server ends the watch of whoever does not keep up, and he goes on from there.
    while (!ended.signal.aborted) {
      const options = { namespace, resourceVersion, timeoutSeconds: 3_600 }
      for await (const { type, object } of client.watch(resource, options, ended.signal)) {
        if (type !== 'BOOKMARK' && type !== 'DELETED') see(object)
      }
    }
  }
  const followed = follow().catch((error: unknown) => {
    if (!ended.signal.aborted) throw error
  })

  return {
    at,
    until: async (count, seconds) => {
      const { promise: come, resolve, reject } = Promise.withResolvers<void>()
      const late = () => reject(new Error(`${at.size} of ${count} ${resource.plural} came within ${seconds} s`))
      const timer = setTimeout(late, seconds * 1000)
      seen = () => {
        if (at.size >= count) resolve()
      }
      seen()
      try {
        await Promise.race([come, followed])
      } finally {
        // A watch that has ended would keep the process until then.
        clearTimeout(timer)
      }
    },
    stop: () => ended.abort(),
  }
}
