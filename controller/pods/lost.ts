import { releaseFinalizer } from '../../kube/names.ts'
import type { Node, PersistentVolumeClaim, Pod } from '../../kube/resources.ts'
import { isUnreleased } from '../overlays/holders.ts'

const outOfServiceTaint = 'node.kubernetes.io/out-of-service'

/** After the end of its grace period a pod is expected to be released within this time. */
export const releaseWithinMs = 60_000

/**
 * Why a pod that should have ended is kept, and what frees its overlays.
 *
 * @param node the pod's node, read live; undefined when it does not exist
 */
export const keptBecause = ({ metadata: { name }, spec }: Pod, node: Node | undefined): string => {
  const nodeName = spec?.nodeName ?? '(none)'
  return node
    ? `node ${nodeName} has not released its overlays: are the node and its Lamina agent up? Where the node never returns, taint it ${outOfServiceTaint}`
    : `its node ${nodeName} is gone from the cluster, but the machine may still run, and other nodes can have the volume too. Bring the node back; or see that the machine is off, and let somebody who may "release" instances.lamina.dev take the finalizer ${releaseFinalizer} off pod ${name}`
}

/**
 * Why a pod that is being deleted holds nothing mounted although no agent says
 * so (docs/decisions/0003-lost-nodes.md); undefined while that is not proven. A node that is
 * gone may still run: only the detach of a volume that one node can have fences
 * it.
 *
 * @param node the pod's node, read live; undefined when it does not exist
 * @param claims the claims of its overlays
 */
export const lostBecause = (
  pod: Pod,
  node: Node | undefined,
  claims: readonly (PersistentVolumeClaim | undefined)[],
): string | undefined => {
  if (!pod.metadata.deletionTimestamp || !isUnreleased(pod)) return undefined
  const { nodeName } = pod.spec ?? {}
  if (!nodeName) return 'it was never scheduled'
  if (node?.spec?.taints?.some(({ key }) => key === outOfServiceTaint)) {
    return `node ${nodeName} is tainted ${outOfServiceTaint}`
  }
  const oneNodeOnly = claims.every((claim) =>
    claim?.spec?.accessModes?.every((mode) => mode === 'ReadWriteOnce' || mode === 'ReadWriteOncePod'),
  )
  return !node && oneNodeOnly
    ? `node ${nodeName} is gone, and its volumes are detached before another gets them`
    : undefined
}
