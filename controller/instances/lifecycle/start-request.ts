import type { Instance, InstanceStatus } from '../../../crds/instance.ts'
import { timestamp } from '../../../kube/clock.ts'
import { annotations } from '../../../kube/names.ts'

/** As much of it as the status has room for. */
const tokenOf = ({ metadata }: Instance): string | undefined =>
  metadata.annotations[annotations.startRequested]?.slice(0, 253) || undefined

/** Somebody asks for a start, and the status does not say yet that it has been followed. */
export const isStartRequested = (instance: Instance): boolean => {
  const token = tokenOf(instance)
  return token !== undefined && token !== instance.status.startRequest?.token
}

/** The request that the status is to tell after a pass. */
export const startRequestAfter = (instance: Instance, now: Date): InstanceStatus['startRequest'] => {
  const token = tokenOf(instance)
  return token !== undefined && isStartRequested(instance)
    ? { token, time: timestamp(now) }
    : instance.status.startRequest
}

/** The later of a time and the last request to start: from then on it counts as used, and as begun anew. */
export const sinceStart = ({ status: { startRequest } }: Instance, time: string): string =>
  startRequest !== undefined && startRequest.time > time ? startRequest.time : time

/** How to do that, in words for a condition. */
export const howToStart = ({ metadata: { namespace, name } }: Instance): string =>
  `To start it again: kubectl annotate -n ${namespace} --overwrite instance/${name} ${annotations.startRequested}="$(date +%s)"`
