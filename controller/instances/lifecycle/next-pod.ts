import type { Backoff, Instance } from '../../../crds/instance.ts'
import { timestamp } from '../../../kube/clock.ts'
import type { Pod } from '../../../kube/resources.ts'
import { isTerminal, neverRan, ranForMs } from '../pod-state.ts'

/** As the kubelet waits before it starts a container again. */
const firstWaitMs = 10_000
const longestWaitMs = 300_000
/** A pod that ran for so long was well: the one before it is forgotten. */
export const wellAfterMs = 600_000

/** Whether another pod follows one, and when. */
export type NextPod =
  /** The pod has not ended. */
  | { kind: 'notEnded' }
  /** It has ended for good. */
  | { kind: 'none' }
  | { kind: 'due'; backoff: Backoff }

/**
 * The restart policy is of the instance, not of a pod: a pod that was evicted,
 * or whose node was lost, is one that failed. One that never came to run its
 * process is no try at all, and another follows under every policy.
 */
const isFollowed = ({ spec: { restartPolicy } }: Instance, pod: Pod): boolean =>
  restartPolicy === 'Always' || neverRan(pod) || (restartPolicy === 'OnFailure' && pod.status?.phase === 'Failed')

const backoffAfter = (before: Backoff | undefined, pod: Pod, now: Date): Backoff => {
  const { uid } = pod.metadata
  if (before?.podUID === uid) return before
  const count = before === undefined || ranForMs(pod, now) >= wellAfterMs ? 1 : before.count + 1
  const waitMs = Math.min(firstWaitMs * 2 ** (count - 1), longestWaitMs)
  return { podUID: uid, count, retryTime: timestamp(new Date(now.getTime() + waitMs)) }
}

export const nextPod = (instance: Instance, pod: Pod, now: Date): NextPod => {
  if (!isTerminal(pod)) return { kind: 'notEnded' }
  if (!isFollowed(instance, pod)) return { kind: 'none' }
  return { kind: 'due', backoff: backoffAfter(instance.status.backoff, pod, now) }
}

/** In words, for a condition. */
export const retryWords = ({ count, retryTime }: Backoff): string => {
  const row = count === 1 ? '' : `; ${count} pods in a row have ended by themselves`
  return `the next pod is made at ${retryTime}${row}`
}
