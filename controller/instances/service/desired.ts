import { createHash } from 'node:crypto'
import type { V1ContainerPort, V1Service, V1ServicePort } from '@kubernetes/client-node'
import type { Instance } from '../../../crds/instance.ts'
import { annotations, apiVersion, labels, managedByValue } from '../../../kube/names.ts'
import type { Service } from '../../../kube/resources.ts'

/** A Service with more than one port wants each to have a name. */
const portOf = ({ name, containerPort, protocol = 'TCP' }: V1ContainerPort): V1ServicePort => ({
  name: name ?? `${protocol.toLowerCase()}-${containerPort}`,
  port: containerPort,
  targetPort: containerPort,
  protocol,
})

/** The Service that the spec asks for: it has the instance's name, and its ports. Undefined when it asks for none. */
export const serviceOf = ({ metadata, spec }: Instance) => {
  if (!spec.service) return undefined
  const { name, namespace, uid } = metadata
  const selector = { [labels.instance]: name }
  const wanted = { type: spec.service.type, selector, ports: (spec.ports ?? []).map(portOf) }
  const hash = createHash('sha256').update(JSON.stringify(wanted)).digest('hex').slice(0, 16)
  return {
    metadata: {
      name,
      namespace,
      labels: { ...selector, [labels.managedBy]: managedByValue },
      annotations: { [annotations.templateHash]: hash },
      ownerReferences: [{ apiVersion, kind: 'Instance', name, uid, controller: true, blockOwnerDeletion: false }],
    },
    spec: wanted,
  } satisfies V1Service
}

export const isOwnedBy = ({ metadata }: Service, instance: Instance): boolean =>
  metadata.ownerReferences.some(({ uid, controller }) => controller === true && uid === instance.metadata.uid)

/** By our own mark: what others have added to it stays. */
export const isAsDesired = (
  { metadata }: Service,
  desired: Exclude<ReturnType<typeof serviceOf>, undefined>,
): boolean => metadata.annotations[annotations.templateHash] === desired.metadata.annotations[annotations.templateHash]
