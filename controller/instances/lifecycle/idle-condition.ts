import type { Instance } from '../../../crds/instance.ts'
import { timestamp } from '../../../kube/clock.ts'
import { idleCondition } from '../../../kube/names.ts'
import { podCondition } from '../../../kube/pod-condition.ts'
import type { Pod } from '../../../kube/resources.ts'
import { type ConditionVerdict, verdict } from '../../conditions.ts'
import { isRunning } from '../pod-state.ts'
import type { Finding } from '../status.ts'
import { idlenessOf } from './idle.ts'

const ofPod = (instance: Instance, pod: Pod): ConditionVerdict => {
  if (!isRunning(pod)) return verdict('Idle', 'Unknown', 'NotRunning')
  const idleness = idlenessOf(instance, pod)
  if (!idleness) {
    const seen = podCondition(pod, idleCondition)?.message
    return verdict('Idle', 'False', 'Used', seen ?? 'its node has not seen yet that nobody uses it')
  }
  const { since, dueMs, seen } = idleness
  const due = timestamp(new Date(dueMs))
  return verdict(
    'Idle',
    'True',
    'NotUsed',
    `${seen}, since ${since}: it is stopped when its node sees that at ${due} still`,
  )
}

/** The condition Idle, for an instance that may be stopped by it. */
export const idleVerdicts = (instance: Instance, finding: Finding): ConditionVerdict[] => {
  if (instance.spec.idleTimeoutSeconds === undefined) return []
  if (finding.kind === 'pod') return [ofPod(instance, finding.pod)]
  const rest = finding.kind === 'stopped' || finding.kind === 'stopping' ? finding.rest : undefined
  return rest?.idleStop
    ? [verdict('Idle', 'True', 'Stopped', rest.message)]
    : [verdict('Idle', 'Unknown', 'NotRunning')]
}
