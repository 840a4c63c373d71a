import type { Instance } from '../../../crds/instance.ts'
import { timestamp } from '../../../kube/clock.ts'
import { annotations, idleCondition } from '../../../kube/names.ts'
import { podCondition } from '../../../kube/pod-condition.ts'
import type { Pod } from '../../../kube/resources.ts'
import { isRunning } from '../pod-state.ts'
import { isIdleStopped } from './at-rest.ts'
import { dueAt, type Policy, type Rest } from './policy.ts'
import { howToStart, sinceStart } from './start-request.ts'

/** Value of the annotation {@link annotations.reportIdle} while nothing is asked but changes. */
export const reportAtChanges = 'AtChanges'

/** What the node says of a running pod that nobody uses. */
export interface Idleness {
  since: string
  /** When it is to be stopped, in ms since 1970. */
  dueMs: number
  /** What was seen of it, in the node's words. */
  seen: string
  /** Whether that was seen when the time had come: what an agent said that is away since is no reason to stop anything. */
  isSeenDue: boolean
}

export const idlenessOf = (instance: Instance, pod: Pod): Idleness | undefined => {
  const { idleTimeoutSeconds } = instance.spec
  const told = podCondition(pod, idleCondition)
  if (idleTimeoutSeconds === undefined || told?.status !== 'True' || !isRunning(pod)) return undefined
  const since = sinceStart(instance, String(told.lastTransitionTime))
  const dueMs = Date.parse(since) + idleTimeoutSeconds * 1000
  return { since, dueMs, seen: told.message ?? '', isSeenDue: Date.parse(String(told.lastProbeTime)) >= dueMs }
}

const restOf = (instance: Instance, { since, seen }: Pick<Idleness, 'since' | 'seen'>, stopTime: string): Rest => ({
  reason: 'Idle',
  message: `nobody has used it since ${since} (${seen}): idleTimeoutSeconds is ${instance.spec.idleTimeoutSeconds}. ${howToStart(instance)}`,
  idleStop: { idleSince: since, stopTime, seen },
})

/** Stops what nobody uses; that it is used no node can tell of a pod that is gone, so a request alone starts it again. */
export const idle: Policy = ({ instance, pod, now }) => {
  const { idleStop } = instance.status
  if (idleStop && isIdleStopped(instance)) {
    const { idleSince: since, seen, stopTime } = idleStop
    return { decision: { kind: 'rest', rest: restOf(instance, { since, seen }, stopTime) } }
  }
  const idleness = pod && idlenessOf(instance, pod)
  if (!idleness) return {}
  const rest = restOf(instance, idleness, timestamp(now))
  const ruling = dueAt(idleness.dueMs, now, () => ({ kind: 'rest', rest }))
  return ruling.decision && !idleness.isSeenDue ? {} : ruling
}

/** The annotation that the pod is to have: it asks the node for what the policy needs next. */
export const reportWanted = (instance: Instance, pod: Pod, now: Date): string | undefined => {
  if (instance.spec.idleTimeoutSeconds === undefined) return undefined
  const idleness = idlenessOf(instance, pod)
  const isDue = idleness !== undefined && now.getTime() >= idleness.dueMs && !idleness.isSeenDue
  return isDue
    ? timestamp(new Date(idleness.dueMs))
    : (pod.metadata.annotations[annotations.reportIdle] ?? reportAtChanges)
}
