import type { KubeClient } from '../../../kube/client.ts'
import { instanceOwnerOf } from '../../../kube/owner.ts'
import { claims, instances, type Pod, persistentOverlays } from '../../../kube/resources.ts'
import type { Chain } from './chain.ts'

/** Reads the chain that the pod hangs on, live: a cache would lag behind a revoke. */
export const observeChain = async (client: KubeClient, pod: Pod): Promise<Chain> => {
  const { namespace } = pod.metadata
  const owner = instanceOwnerOf(pod)
  const instance = owner && (await client.get(instances, { namespace, name: owner.name }))
  const overlays = await Promise.all(
    (instance?.status.overlays ?? []).map(async ({ name }) => {
      const overlay = await client.get(persistentOverlays, { namespace, name })
      const claimName = overlay?.status.claim?.name
      return { overlay, claim: claimName ? await client.get(claims, { namespace, name: claimName }) : undefined }
    }),
  )
  return { pod, instance, overlays }
}
