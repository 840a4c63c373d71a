import type { Instance } from '../../crds/instance.ts'
import { type Pod, pods } from '../../kube/resources.ts'
import type { Context } from '../context.ts'
import { isOwnedBy } from './pod-state.ts'

/** The instance's own pod, as the cache has it. */
export const ownPod = ({ caches }: Context, instance: Instance): Pod | undefined => {
  const pod = caches.pods.get(instance.metadata)
  return pod && isOwnedBy(pod, instance) ? pod : undefined
}

/** The pod of the instance's name, whoever's it is, as the API server has it. */
export const livePod = ({ client }: Context, { metadata }: Instance): Promise<Pod | undefined> =>
  client.get(pods, metadata)

/** Deletes that pod, and no later one of its name. */
export const removePod = ({ client }: Context, { metadata }: Pod): Promise<boolean> =>
  client.delete(pods, metadata, { uid: metadata.uid })
