import type { NodeLayout } from '../../node/layout.ts'
import { podPaths } from '../../node/layout.ts'
import { forgetPod, observeMounts, recordedPods } from './records.ts'
import { revokeTicket } from './ticket.ts'

/**
 * Removes what lies on the node of pods that are gone from the API and have nothing mounted.
 *
 * @param isKnown whether the pod is in the agent's copy, which may lag: the kubelet can know a pod first
 * @param liveUIDs uids of the node's pods, read live
 * @returns uids of gone pods that have something mounted still
 */
export const sweepPods = async (
  layout: NodeLayout,
  isKnown: (podUID: string) => boolean,
  liveUIDs: () => Promise<ReadonlySet<string>>,
): Promise<string[]> => {
  const unknown = recordedPods(layout).filter((podUID) => !isKnown(podUID))
  if (unknown.length === 0) return []
  const live = await liveUIDs()
  const gone = unknown.filter((podUID) => !live.has(podUID))
  return gone.filter((podUID) => {
    const free = revokeTicket(podPaths(layout, podUID)) && observeMounts(layout, podUID).length === 0
    if (free) forgetPod(layout, podUID)
    return !free
  })
}
