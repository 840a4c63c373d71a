import { ApiError, type KubeClient } from '../client.ts'
import type { KubeObject, Resource } from '../resource.ts'

/** Keeps one Lease as the API server does: versions count up, and a patch for another version is a conflict. */
export const createLeaseServer = () => {
  let lease: { metadata: { name: string; namespace: string; resourceVersion: string }; spec: object } | undefined
  let version = 0
  const state = { isDown: false, hangs: false, writes: 0 }

  const answer = async <T extends KubeObject>(resource: Resource<T>): Promise<T | undefined> =>
    lease && resource.parse(structuredClone(lease))
  const reach = async (): Promise<void> => {
    if (state.hangs) await new Promise(() => {})
    if (state.isDown) throw new Error('connection refused')
  }
  const store = (spec: object): void => {
    state.writes++
    lease = { metadata: { name: 'lock', namespace: 'ns', resourceVersion: String(++version) }, spec }
  }

  const client: Pick<KubeClient, 'get' | 'create' | 'mergePatch'> = {
    get: async (resource) => {
      await reach()
      return answer(resource)
    },
    create: async (resource, body) => {
      await reach()
      if (lease) throw new ApiError('already exists', { status: 409, reason: 'AlreadyExists', subject: 'lock' })
      if ('spec' in body && typeof body.spec === 'object' && body.spec) store(body.spec)
      return resource.parse(lease)
    },
    mergePatch: async (resource, _key, patch) => {
      await reach()
      if (!lease) return undefined
      const { metadata, spec } = JSON.parse(JSON.stringify(patch))
      if (metadata.resourceVersion !== lease.metadata.resourceVersion) {
        throw new ApiError('the object has been modified', { status: 409, reason: 'Conflict', subject: 'lock' })
      }
      store({ ...lease.spec, ...spec })
      return answer(resource)
    },
  }
  return {
    client,
    state,
    /** What the Lease says. */
    spec: (): object | undefined => lease?.spec,
    /** Somebody else writes. */
    overwrite: (spec: object): void => store({ ...lease?.spec, ...spec }),
  }
}
