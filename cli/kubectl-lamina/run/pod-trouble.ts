import type { Event } from '../../../kube/resources.ts'

/** What stands in the way of a pod, as the kubelet tells it in Events and nowhere else. */
interface PodTrouble {
  reason: string
  message: string
}

const missingSource = /\b(?:secret|configmap) "[^"]*" not found|references non-existent (?:secret|config) key/i

/** With a reason of its own where that has an advice of its own. */
export const troubleOf = ({ reason = '', message = '' }: Event): PodTrouble =>
  reason === 'FailedMount' && missingSource.test(message)
    ? { reason: 'VolumeSourceMissing', message }
    : { reason, message }

/**
 * Undefined where the last that was told of it is no trouble.
 *
 * @param events oldest first, of all pods that have had the name
 */
export const podTroubleIn = (events: readonly Event[], podUID: string | undefined): PodTrouble | undefined => {
  const last = events.findLast(({ involvedObject }) => involvedObject.uid === podUID)
  return last?.type === 'Warning' ? troubleOf(last) : undefined
}
