import type { NodeLayout } from '../../node/layout.ts'
import { podPaths } from '../../node/layout.ts'
import type { AskDevices } from './ask-devices.ts'
import { blockVolumesOf, forgetPod, observeMounts, recordedPods } from './records.ts'
import { revokeTicket } from './ticket.ts'

const isFree = async (layout: NodeLayout, podUID: string, askDevices: AskDevices): Promise<boolean> => {
  if (!revokeTicket(podPaths(layout, podUID))) return false
  const mountedDevices = await askDevices(blockVolumesOf(layout, podUID))
  return observeMounts(layout, podUID, mountedDevices).length === 0
}

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
  askDevices: AskDevices,
): Promise<string[]> => {
  const unknown = recordedPods(layout).filter((podUID) => !isKnown(podUID))
  if (unknown.length === 0) return []
  const live = await liveUIDs()
  const gone = unknown.filter((podUID) => !live.has(podUID))
  const held: string[] = []
  for (const podUID of gone) {
    if (await isFree(layout, podUID, askDevices)) forgetPod(layout, podUID)
    else held.push(podUID)
  }
  return held
}
