import { annotations, apiVersion, labels, managedByValue } from '../kube/names.ts'
import type { KubeObject } from '../kube/resource.ts'
import { shortHash } from './short-hash.ts'

/** Objects that the controller makes for one of its own: that owns them, and a hash in an annotation marks what they were made as. */

/** Deletion of the owner does not wait for them. */
export const ownerReferenceTo = (kind: string, { metadata: { name, uid } }: KubeObject) => ({
  ...{ apiVersion, kind, name, uid },
  controller: true,
  blockOwnerDeletion: false,
})

/** Beside the child's own labels it has the controller's. */
export const childOf = <Spec>(
  { kind, owner }: { kind: string; owner: KubeObject },
  child: { name: string; labels: Record<string, string> },
  spec: Spec,
) => ({
  metadata: {
    name: child.name,
    namespace: owner.metadata.namespace,
    labels: { ...child.labels, [labels.managedBy]: managedByValue },
    annotations: { [annotations.templateHash]: shortHash(spec) },
    ownerReferences: [ownerReferenceTo(kind, owner)],
  },
  spec,
})

export const isChildOf = ({ metadata }: KubeObject, owner: KubeObject): boolean =>
  metadata.ownerReferences.some(({ uid, controller }) => controller === true && uid === owner.metadata.uid)

interface Marked {
  metadata: { annotations: Record<string, string> }
}

/** Of a pod, a child, or what one is to be; undefined where somebody took it off. */
export const markOf = ({ metadata }: Marked): string | undefined => metadata.annotations[annotations.templateHash]
