import { annotations, preparedCondition } from '../../kube/names.ts'
import { podCondition } from '../../kube/pod-condition.ts'
import type { DaemonSet, Pod } from '../../kube/resources.ts'

/** What keeps nodes from an image that they are to fetch, as their agents tell it in the conditions of the pods. */
export interface NodeTrouble {
  reason: string
  /** Of the first node. */
  message: string
  /** In alphabetical order. */
  nodes: string[]
}

/** Pods that bring the image as it is resolved now. */
const currentPods = (pods: readonly Pod[], { metadata: { uid }, spec }: DaemonSet): Pod[] => {
  const wanted = spec?.template.metadata?.annotations?.[annotations.imageReference]
  return pods.filter(
    ({ metadata }) =>
      metadata.deletionTimestamp === undefined &&
      metadata.annotations[annotations.imageReference] === wanted &&
      metadata.ownerReferences.some((owner) => owner.uid === uid),
  )
}

const isTroubled = (pod: Pod): boolean => podCondition(pod, preparedCondition)?.status === 'False'

/** Pods that count as ready, though their image had to leave the cache again. */
export const countTroubledReady = (pods: readonly Pod[], daemonSet: DaemonSet): number =>
  currentPods(pods, daemonSet).filter((pod) => isTroubled(pod) && podCondition(pod, 'Ready')?.status === 'True').length

/** By reason, that of most nodes first. */
export const troublesOf = (pods: readonly Pod[], daemonSet: DaemonSet): NodeTrouble[] => {
  const troubles = new Map<string, NodeTrouble>()
  const nodeOf = ({ spec, metadata }: Pod): string => spec?.nodeName ?? metadata.name
  const troubled = currentPods(pods, daemonSet)
    .filter(isTroubled)
    .toSorted((a, b) => (nodeOf(a) < nodeOf(b) ? -1 : 1))
  for (const pod of troubled) {
    const { reason = 'Unknown', message = '' } = podCondition(pod, preparedCondition) ?? {}
    const known = troubles.get(reason)
    if (known) known.nodes.push(nodeOf(pod))
    else troubles.set(reason, { reason, message, nodes: [nodeOf(pod)] })
  }
  return [...troubles.values()].toSorted((a, b) => b.nodes.length - a.nodes.length)
}
