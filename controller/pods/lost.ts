import { releaseFinalizer } from '../../kube/names.ts'
import type { CSIDriver, Node, PersistentVolume, PersistentVolumeClaim, Pod } from '../../kube/resources.ts'
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
    : `its node ${nodeName} is gone from the cluster, but the machine may still run, and nothing keeps it from the volume. Bring the node back; or see that the machine is off, and let somebody who may "release" instances.lamina.dev take the finalizer ${releaseFinalizer} off pod ${name}`
}

/** A claim of a pod, and what is behind it; undefined where that is not there. */
export interface HeldVolume {
  claim: PersistentVolumeClaim | undefined
  volume: PersistentVolume | undefined
  /** Of a CSI volume. */
  driver: CSIDriver | undefined
}

/** In-tree kinds that are attached to one machine; of iSCSI and Fibre Channel the detach is only on paper. */
const attachedKinds = [
  'awsElasticBlockStore',
  'azureDisk',
  'cinder',
  'gcePersistentDisk',
  'vsphereVolume',
] as const satisfies readonly (keyof NonNullable<PersistentVolume['spec']>)[]

/** No other node can have what lies on this one. Labels of a node that is gone are not known, but those of its name. */
const isOfNode = ({ spec }: PersistentVolume, nodeName: string): boolean => {
  const terms = spec?.nodeAffinity?.required?.nodeSelectorTerms ?? []
  const isOnly = ({ operator, values = [] }: { operator: string; values?: string[] }): boolean =>
    operator === 'In' && values.length === 1 && values[0] === nodeName
  return (
    terms.length > 0 &&
    terms.every(({ matchExpressions = [], matchFields = [] }) => [...matchExpressions, ...matchFields].some(isOnly))
  )
}

/** Access modes alone bind nobody: without an attach (NFS and the like) each node mounts what it likes. */
const isFenced = ({ claim, volume, driver }: HeldVolume, nodeName: string): boolean => {
  const modes = claim?.spec?.accessModes ?? []
  const isForOne = modes.length > 0 && modes.every((mode) => mode === 'ReadWriteOnce' || mode === 'ReadWriteOncePod')
  if (!isForOne || !volume) return false
  if (isOfNode(volume, nodeName)) return true
  if (volume.spec?.csi) return driver !== undefined && driver.spec.attachRequired !== false
  return attachedKinds.some((kind) => volume.spec?.[kind] !== undefined)
}

/**
 * Why a pod that is being deleted holds nothing mounted although no agent says
 * so (docs/decisions/0003-lost-nodes.md); undefined while that is not proven. A node that is
 * gone may still run: only the detach of a volume that one node can have fences
 * it, or that the volume is its own.
 *
 * @param node the pod's node, read live; undefined when it does not exist
 * @param held the volumes of its overlays; only looked at where the node does not exist
 */
export const lostBecause = (pod: Pod, node: Node | undefined, held: readonly HeldVolume[]): string | undefined => {
  if (!pod.metadata.deletionTimestamp || !isUnreleased(pod)) return undefined
  const { nodeName } = pod.spec ?? {}
  if (!nodeName) return 'it was never scheduled'
  if (node?.spec?.taints?.some(({ key }) => key === outOfServiceTaint)) {
    return `node ${nodeName} is tainted ${outOfServiceTaint}`
  }
  return !node && held.every((each) => isFenced(each, nodeName))
    ? `node ${nodeName} is gone, and its volumes are its own, or detached before another gets them`
    : undefined
}
