import type { Node, PersistentVolumeClaim, Pod } from '../../kube/resources.ts'
import { isUnreleased } from '../overlays/holders.ts'

const outOfServiceTaint = 'node.kubernetes.io/out-of-service'

/**
 * Why a pod that is being deleted holds nothing mounted although no agent says
 * so (DESIGN §4, step 8); undefined while that is not proven. A node that is
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
