import type { V1ContainerPort, V1Service, V1ServicePort } from '@kubernetes/client-node'
import type { Instance } from '../../../crds/instance.ts'
import { labels } from '../../../kube/names.ts'
import type { Service } from '../../../kube/resources.ts'
import { childOf, markOf } from '../../child.ts'

/** A Service with more than one port wants each to have a name. */
const portOf = ({ name, containerPort, protocol = 'TCP' }: V1ContainerPort): V1ServicePort => ({
  name: name ?? `${protocol.toLowerCase()}-${containerPort}`,
  port: containerPort,
  targetPort: containerPort,
  protocol,
})

/** The Service that the spec asks for: it has the instance's name, and its ports. Undefined when it asks for none. */
export const serviceOf = (instance: Instance) => {
  const { metadata, spec } = instance
  if (!spec.service) return undefined
  const { name } = metadata
  const selector = { [labels.instance]: name }
  const wanted = { type: spec.service.type, selector, ports: (spec.ports ?? []).map(portOf) }
  return childOf({ kind: 'Instance', owner: instance }, { name, labels: selector }, wanted) satisfies V1Service
}

/** By our own mark: what others have added to it stays. */
export const isAsDesired = (service: Service, desired: Exclude<ReturnType<typeof serviceOf>, undefined>): boolean =>
  markOf(service) === markOf(desired)
