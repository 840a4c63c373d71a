import type { PersistentOverlay } from '../../crds/persistent-overlay.ts'
import { annotations, apiVersion, claimName, labels, managedByValue } from '../../kube/names.ts'
import { parseQuantity } from '../../kube/quantity.ts'
import { formatKey, type OwnerReference } from '../../kube/resource.ts'
import type { PersistentVolumeClaim } from '../../kube/resources.ts'
import type { Settings } from '../settings.ts'

const mebibyte = 2 ** 20

/** What the journal and inode tables of even a small file system take. */
const fixedOverhead = 16 * mebibyte

const mebibytes = (bytes: number): string => `${Math.ceil(bytes / mebibyte)}Mi`

/**
 * How large a claim to ask for. An image of the overlay's size does not fit into
 * a file system of that size; of a device the node keeps a block for notes; a
 * volume of plain directories has just the size.
 */
export const claimSize = (
  { spec: { size, format, storage } }: PersistentOverlay,
  { default: share, classes }: Settings['storageOverhead'],
): string => {
  const bytes = parseQuantity(size)
  if (format === 'Directory') return mebibytes(bytes)
  if (storage.volumeMode === 'Block') return mebibytes(bytes + mebibyte)
  const { storageClassName } = storage
  const overhead = (storageClassName === undefined ? undefined : classes[storageClassName]) ?? share
  return mebibytes(bytes / (1 - overhead) + fixedOverhead)
}

/** The claim that holds the overlay: its own, or the one that was there before. */
export const claimNameOf = ({ metadata, spec }: PersistentOverlay): string =>
  spec.storage.existingClaimName ?? claimName(metadata.name)

/** Key of that claim: what concerns its data concerns all overlays that lie in it. */
export const claimKeyOf = (overlay: PersistentOverlay): string =>
  formatKey({ namespace: overlay.metadata.namespace, name: claimNameOf(overlay) })

/** Why a claim that is there is of no use for the overlay; undefined when its mode is the one asked. */
export const volumeModeProblem = (
  { metadata, spec }: PersistentVolumeClaim,
  { volumeMode }: PersistentOverlay['spec']['storage'],
): string | undefined => {
  const has = spec?.volumeMode ?? 'Filesystem'
  return has === volumeMode
    ? undefined
    : `PersistentVolumeClaim ${metadata.name} has volumeMode ${has}, not storage.volumeMode ${volumeMode}: make the overlay anew with storage.volumeMode: ${has}`
}

/** `Delete`: the claim goes with the overlay. `Retain`: it has no owner, and outlives it. */
const ownersOf = ({ metadata, spec }: PersistentOverlay): OwnerReference[] =>
  spec.reclaimPolicy === 'Delete'
    ? [{ apiVersion, kind: 'PersistentOverlay', name: metadata.name, uid: metadata.uid }]
    : []

export const claimOf = (overlay: PersistentOverlay, size: string) => ({
  apiVersion: 'v1',
  kind: 'PersistentVolumeClaim',
  metadata: {
    name: claimName(overlay.metadata.name),
    namespace: overlay.metadata.namespace,
    labels: { [labels.overlay]: overlay.metadata.name, [labels.managedBy]: managedByValue },
    ownerReferences: ownersOf(overlay),
  },
  spec: {
    accessModes: [overlay.spec.storage.accessMode],
    ...(overlay.spec.storage.storageClassName ? { storageClassName: overlay.spec.storage.storageClassName } : {}),
    volumeMode: overlay.spec.storage.volumeMode,
    resources: { requests: { storage: size } },
  },
})

export const isClaimOf = (claim: PersistentVolumeClaim, overlay: PersistentOverlay): boolean =>
  claim.metadata.labels[labels.overlay] === overlay.metadata.name

const requestedBytes = ({ spec }: PersistentVolumeClaim): number =>
  parseQuantity(spec?.resources?.requests?.storage ?? '0')

export const capacityOf = ({ status }: PersistentVolumeClaim): string | undefined => status?.capacity?.storage

export const isGrowing = (claim: PersistentVolumeClaim): boolean => {
  const capacity = capacityOf(claim)
  return capacity !== undefined && parseQuantity(capacity) < requestedBytes(claim)
}

const sameOwners = (a: readonly OwnerReference[], b: readonly OwnerReference[]): boolean =>
  a.length === b.length && a.every(({ uid }, index) => uid === b[index]?.uid)

/** A merge patch that brings the claim to what the overlay asks; undefined when it is there. Never shrinks. */
export const claimPatch = (
  claim: PersistentVolumeClaim,
  overlay: PersistentOverlay,
  size: string,
): Record<string, unknown> | undefined => {
  const owners = ownersOf(overlay)
  const { base, usage } = overlay.status
  const remembered = JSON.stringify(base)
  // Until it has a volume its spec cannot be changed.
  const grows = claim.status?.phase === 'Bound' && parseQuantity(size) > requestedBytes(claim)
  const reowned = !sameOwners(claim.metadata.ownerReferences, owners)
  // The node's word is the proof that something may have been written upon it. Before that, a write would also be in
  // the way of the scheduler's, and the pod would come to its turn again only later.
  const rebased =
    base !== undefined && usage !== undefined && claim.metadata.annotations[annotations.base] !== remembered
  if (!grows && !reowned && !rebased) return undefined
  return {
    metadata: {
      resourceVersion: claim.metadata.resourceVersion,
      ...(reowned ? { ownerReferences: owners } : {}),
      ...(rebased ? { annotations: { [annotations.base]: remembered } } : {}),
    },
    ...(grows ? { spec: { resources: { requests: { storage: size } } } } : {}),
  }
}
