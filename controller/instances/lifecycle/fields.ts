import type { Instance, InstanceStatus } from '../../../crds/instance.ts'
import { timestamp } from '../../../kube/clock.ts'
import { isRunning, mainFinishTime, mainStartTime, ranForMs } from '../pod-state.ts'
import type { Finding } from '../status.ts'
import { wellAfterMs } from './next-pod.ts'
import { isStartRequested, startRequestAfter } from './start-request.ts'

type Fields = Pick<InstanceStatus, 'firstStartTime' | 'finishTime' | 'backoff' | 'startRequest' | 'idleStop'>

const backoffAfter = (finding: Finding, before: InstanceStatus['backoff'], now: Date): InstanceStatus['backoff'] => {
  if (finding.kind !== 'pod') return before
  if (finding.next?.kind === 'due') return finding.next.backoff
  return isRunning(finding.pod) && ranForMs(finding.pod, now) >= wellAfterMs ? undefined : before
}

/** When it finished, if it has. */
const finishedAt = (finding: Finding, before: string | undefined, now: Date): string | undefined => {
  switch (finding.kind) {
    case 'pod':
      if (finding.next?.kind !== 'none') return undefined
      return mainFinishTime(finding.pod) ?? before ?? timestamp(now)
    case 'finished':
      return before ?? timestamp(now)
    case 'stopped':
      return finding.rest.reason === 'DeadlineExceeded' ? (before ?? timestamp(now)) : undefined
    default:
      return undefined
  }
}

/** What of the status the lifecycle's policies need in later passes, also those of another controller. */
export const lifecycleFields = (instance: Instance, finding: Finding, now: Date): Fields => {
  const rest = finding.kind === 'stopped' || finding.kind === 'stopping' ? finding.rest : undefined
  const isStopped = rest?.reason === 'Stopped' || rest?.reason === 'Idle'
  const { firstStartTime: first, backoff: failures, finishTime }: Fields = isStopped ? {} : instance.status
  const firstStartTime = first ?? (finding.kind === 'pod' ? mainStartTime(finding.pod) : undefined)
  const finished = finishedAt(finding, finishTime, now)
  const backoff = isStartRequested(instance) ? undefined : backoffAfter(finding, failures, now)
  const startRequest = startRequestAfter(instance, now)
  return {
    ...(firstStartTime === undefined ? {} : { firstStartTime }),
    ...(finished === undefined ? {} : { finishTime: finished }),
    ...(backoff === undefined ? {} : { backoff }),
    ...(startRequest === undefined ? {} : { startRequest }),
    ...(rest?.idleStop ? { idleStop: rest.idleStop } : {}),
  }
}
