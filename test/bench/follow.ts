import { performance } from 'node:perf_hooks'
import type { KubeClient } from '../../kube/client.ts'
import type { KubeObject, ObjectKey, Resource } from '../../kube/resource.ts'

/** Follows one object until `done` says yes of it; a deletion is told as undefined. */
export const follow = async <T extends KubeObject>(
  client: KubeClient,
  resource: Resource<T>,
  key: ObjectKey,
  done: (object: T | undefined) => boolean,
): Promise<number> => {
  const selection = { namespace: key.namespace, fieldSelector: `metadata.name=${key.name}` }
  const page = await client.listPage(resource, selection)
  const [present] = page.items
  if (done(present === undefined ? undefined : resource.parse(present))) return performance.now()
  const watch = client.watch(
    resource,
    { ...selection, resourceVersion: page.resourceVersion, timeoutSeconds: 120 },
    AbortSignal.timeout(120_000),
  )
  for await (const { type, object } of watch) {
    if (type !== 'BOOKMARK' && done(type === 'DELETED' ? undefined : resource.parse(object))) return performance.now()
  }
  throw new Error(`${resource.kind} ${key.name}: waited in vain`)
}

/** An object that has conditions. */
export type Reporting = KubeObject & {
  status?: { conditions?: { type: string; status: string }[] | undefined } | undefined
}

export const isReady = (object: Reporting | undefined): boolean =>
  object?.status?.conditions?.some(({ type, status }) => type === 'Ready' && status === 'True') ?? false
