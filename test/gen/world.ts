import type { Context } from '../../controller/context.ts'
import { readSettings } from '../../controller/settings.ts'
import { indexes } from '../../controller/triggers.ts'
import { createCache, type Indexes } from '../../kube/cache.ts'
import { ApiError, type KubeClient } from '../../kube/client.ts'
import { systemClock } from '../../kube/clock.ts'
import type { Reflector } from '../../kube/reflector.ts'
import { formatKey, type KubeObject, type ObjectKey } from '../../kube/resource.ts'
import { createJointSerializer } from '../../kube/serially.ts'

/** A reconciler's surroundings, whose caches are the API server's objects too: for what depends on the order of passes. */

type There = Partial<{ [Kind in keyof Context['caches']]: ReturnType<Context['caches'][Kind]['list']> }>

const reflectorOf = <T extends KubeObject>(objects: readonly T[] = [], by: Indexes<T> = {}): Reflector<T> => {
  const cache = createCache(by)
  for (const object of objects) cache.put(object)
  return {
    run: async () => {},
    synced: Promise.resolve(),
    get: (key) => cache.get(formatKey(key)),
    list: cache.list,
    by: cache.by,
    note: (object) => {
      cache.put(object)
    },
    lastSync: () => 1,
  }
}

const refused = (reason: string, status: number): ApiError => new ApiError(`no: ${reason}`, { status, reason })

/**
 * @param refuses names of objects that may not be created
 */
export const genWorld = (there: There, refuses: readonly string[] = []): Context => {
  let version = 100
  const caches: Context['caches'] = {
    images: reflectorOf(there.images),
    overlays: reflectorOf(there.overlays, indexes.overlays),
    instances: reflectorOf(there.instances, indexes.instances),
    pods: reflectorOf(there.pods, indexes.pods),
    claims: reflectorOf(there.claims),
    daemonSets: reflectorOf(there.daemonSets),
    prefetchPods: reflectorOf(there.prefetchPods, indexes.prefetchPods),
    services: reflectorOf(there.services),
    storageClasses: reflectorOf(there.storageClasses),
  }
  const kinds: Readonly<Record<string, Pick<Reflector<KubeObject>, 'get'>>> = {
    PersistentOverlay: caches.overlays,
    PersistentVolumeClaim: caches.claims,
    Instance: caches.instances,
    Pod: caches.pods,
  }
  const find = (kind: string, key: ObjectKey): KubeObject | undefined => kinds[kind]?.get(key)
  const changed = (object: KubeObject, change: object) => ({
    ...object,
    ...change,
    metadata: { ...object.metadata, resourceVersion: String(version++) },
  })
  const nothing = async (): Promise<never> => {
    throw refused('NotFound', 404)
  }
  const client: KubeClient = {
    get: async (resource, key) => {
      const object = find(resource.kind, key)
      return object && resource.parse(object)
    },
    list: async () => [],
    create: async (resource, body, namespace) => {
      const object = resource.parse(body)
      const { name } = object.metadata
      if (refuses.includes(name)) throw refused('Forbidden', 403)
      if (find(resource.kind, { namespace, name })) throw refused('AlreadyExists', 409)
      const metadata = {
        ...object.metadata,
        namespace,
        uid: `uid-${name}`,
        creationTimestamp: new Date().toISOString(),
      }
      return resource.parse({
        ...changed({ metadata }, body),
        metadata: { ...metadata, resourceVersion: String(version++) },
      })
    },
    apply: async (resource, body) => {
      const { metadata, ...rest } = JSON.parse(JSON.stringify(body))
      const object = find(resource.kind, metadata)
      return object ? resource.parse(changed(object, rest)) : nothing()
    },
    mergePatch: async () => undefined,
    delete: async () => false,
    listPage: nothing,
    watch: async function* () {},
  }
  return {
    client,
    caches,
    events: { event: () => {} },
    clock: systemClock,
    settings: readSettings({ PLACEHOLDER_IMAGE: 'registry.example/lamina:1' }),
    claimTroubles: async () => undefined,
    serially: createJointSerializer(),
  }
}
