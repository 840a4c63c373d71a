import type { KubeClient } from '../../../kube/client.ts'
import { parseVolumeReference } from '../../../kube/image-source.ts'
import { instanceOwnerOf } from '../../../kube/owner.ts'
import { claims, instances, type Pod, persistentOverlays } from '../../../kube/resources.ts'
import type { Chain } from './chain.ts'

/** Reads the chain that the pod hangs on, live: a cache would lag behind a revoke. */
export const observeChain = async (client: KubeClient, pod: Pod): Promise<Chain> => {
  const { namespace } = pod.metadata
  const owner = instanceOwnerOf(pod)
  const instance = owner && (await client.get(instances, { namespace, name: owner.name }))
  const claim = (name: string | undefined) => (name ? client.get(claims, { namespace, name }) : undefined)
  const image = parseVolumeReference(instance?.status.image?.reference ?? '')
  const [base, overlays] = await Promise.all([
    claim(image?.claimName),
    Promise.all(
      (instance?.status.overlays ?? []).map(async ({ name }) => {
        const overlay = await client.get(persistentOverlays, { namespace, name })
        return { overlay, claim: await claim(overlay?.status.claim?.name) }
      }),
    ),
  ])
  return { pod, instance, base, overlays }
}
