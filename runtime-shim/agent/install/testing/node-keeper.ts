import * as z from 'zod'
import { ApiError, type KubeClient } from '../../../../kube/client.ts'
import type { KubeObject, ObjectKey, Resource } from '../../../../kube/resource.ts'

/** What stands of a Node in the API server, and how many writes it took. */
interface KeptNode {
  labels: Record<string, string>
  version: number
  writes: number
}

const patchSchema = z.object({
  metadata: z.object({ resourceVersion: z.string(), labels: z.record(z.string(), z.string()) }),
})

/**
 * The Node "n" as the API server keeps it: a write must know its latest version.
 *
 * @param status asked at each read
 * @param conflicts so many writes are preceded by one of the kubelet
 */
export const nodeKeeper = (
  labels: Record<string, string>,
  { conflicts = 0, status = () => ({}) }: { conflicts?: number; status?: () => object } = {},
) => {
  const node: KeptNode = { labels, version: 1, writes: 0 }
  let left = conflicts
  const json = () => ({
    metadata: { name: 'n', resourceVersion: String(node.version), labels: node.labels },
    status: status(),
  })
  const client: Pick<KubeClient, 'get' | 'mergePatch'> = {
    get: async <T extends KubeObject>(resource: Resource<T>, { name }: ObjectKey) =>
      name === 'n' ? resource.parse(json()) : undefined,
    mergePatch: async <T extends KubeObject>(resource: Resource<T>, _key: ObjectKey, patch: object) => {
      const { metadata } = patchSchema.parse(patch)
      if (left-- > 0) node.version++
      if (metadata.resourceVersion !== String(node.version))
        throw new ApiError('changed meanwhile', { status: 409, reason: 'Conflict' })
      node.labels = { ...node.labels, ...metadata.labels }
      node.version++
      node.writes++
      return resource.parse(json())
    },
  }
  return { client, node }
}
