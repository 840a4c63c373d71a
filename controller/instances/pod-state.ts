import type { V1ContainerState, V1ContainerStatus } from '@kubernetes/client-node'
import type { Instance, InstanceStatus } from '../../crds/instance.ts'
import { containers, preparedCondition } from '../../kube/names.ts'
import { instanceOwnerOf } from '../../kube/owner.ts'
import { podCondition } from '../../kube/pod-condition.ts'
import type { Pod } from '../../kube/resources.ts'

/** What a pod's status says, in the terms that an Instance is told in. */

/** Something stands in the way; `reason` is CamelCase. */
export interface Trouble {
  reason: string
  message: string
}

export const isOwnedBy = (pod: Pod, instance: Instance): boolean => instanceOwnerOf(pod)?.uid === instance.metadata.uid

export const isTerminal = ({ status }: Pod): boolean => status?.phase === 'Succeeded' || status?.phase === 'Failed'

const mainStatus = ({ status }: Pod): V1ContainerStatus | undefined =>
  status?.containerStatuses?.find(({ name }) => name === containers.main)

export const isRunning = (pod: Pod): boolean => Boolean(mainStatus(pod)?.state?.running)

/** When the node agent was done with that. */
export const prepareFinishTime = ({ status }: Pod): string | undefined => {
  const prepare = status?.initContainerStatuses?.find(({ name }) => name === containers.prepare)
  const finished = prepare?.state?.terminated?.finishedAt
  return finished && String(finished)
}

/** Its process has ended, and the kubelet has not said yet what becomes of the pod. */
export const hasEnded = (pod: Pod): boolean => Boolean(mainStatus(pod)?.state?.terminated)

const oneLine = (text: string): string => text.replaceAll(/\s+/g, ' ').trim()

/** The runtime's own words, or runc's, in what the kubelet says of a failed start. */
const runtimeWords = (message: string): string =>
  oneLine(/(?:lamina|unable to start container process): (.*)$/s.exec(message)?.[1] ?? message)

/** Reason of an Instance whose process could not be started. */
export const startFailed = 'StartFailed'

const failedStart = (state: V1ContainerState | undefined): Trouble | undefined => {
  const { reason, message } = state?.terminated ?? {}
  if (reason !== 'StartError') return undefined
  return { reason: startFailed, message: runtimeWords(message || 'the container runtime did not say why') }
}

/** Why the main container never came to run: the mount was refused, or its program cannot be executed. */
export const startFailure = (pod: Pod): Trouble | undefined => {
  const main = mainStatus(pod)
  if (!main || main.state?.running) return undefined
  const ended = failedStart(main.state) ?? failedStart(main.lastState)
  if (ended) return ended
  const { reason = '', message } = main.state?.waiting ?? {}
  const failed = reason.endsWith('Error') || reason.endsWith('BackOff')
  return failed && message ? { reason, message: runtimeWords(message) } : undefined
}

/**
 * The process of a pod that has ended never ran, so another pod may be tried: its
 * start failed (`StartError`), or the kubelet refused the pod.
 */
export const neverRan = (pod: Pod): boolean =>
  isTerminal(pod) && (mainStatus(pod) === undefined || failedStart(mainStatus(pod)?.state) !== undefined)

/** When its process started; that of a start that failed never did. */
export const mainStartTime = (pod: Pod): string | undefined => {
  const state = mainStatus(pod)?.state
  const started = failedStart(state) ? undefined : (state?.running ?? state?.terminated)?.startedAt
  return started && String(started)
}

export const mainFinishTime = (pod: Pod): string | undefined => {
  const finished = mainStatus(pod)?.state?.terminated?.finishedAt
  return finished && String(finished)
}

/** How long its process has run, or ran. */
export const ranForMs = (pod: Pod, now: Date): number => {
  const started = mainStartTime(pod)
  const finished = mainFinishTime(pod)
  return started === undefined
    ? 0
    : (finished === undefined ? now.getTime() : Date.parse(finished)) - Date.parse(started)
}

/** No node has been found for it yet. */
export const isUnscheduled = ({ spec }: Pod): boolean => !spec?.nodeName

export const unschedulable = (pod: Pod): Trouble | undefined => {
  const scheduled = podCondition(pod, 'PodScheduled')
  return scheduled?.status === 'False'
    ? { reason: 'Unschedulable', message: oneLine(scheduled.message ?? 'no node takes the pod') }
    : undefined
}

/** What the node agent says stands in the way of the mount. */
export const agentTrouble = (pod: Pod): Trouble | undefined => {
  const prepared = podCondition(pod, preparedCondition)
  return prepared?.status === 'False'
    ? { reason: prepared.reason ?? 'NotPrepared', message: prepared.message ?? '' }
    : undefined
}

/** Whether the node agent has said anything of this pod: it does of what keeps it, and when that is over. */
export const hasAgentSpoken = (pod: Pod): boolean => podCondition(pod, preparedCondition) !== undefined

/** Why a running pod is not ready: a probe that fails, a sidecar that is not up. */
export const unready = (pod: Pod): Trouble | undefined => {
  const ready = podCondition(pod, 'Ready')
  if (ready?.status === 'True') return undefined
  return { reason: ready?.reason ?? 'ContainersNotReady', message: ready?.message ?? 'the pod is not ready yet' }
}

/** Who ended the pod, where it was not its own process: eviction, preemption, a node that is drained or lost. */
const disruptionOf = (pod: Pod): Partial<Trouble> => {
  const { reason, message } = pod.status ?? {}
  if (reason) return { reason, ...(message ? { message } : {}) }
  const disrupted = podCondition(pod, 'DisruptionTarget')
  return disrupted?.status === 'True' ? { reason: disrupted.reason ?? '', message: disrupted.message ?? '' } : {}
}

/** In words how the pod ended. */
export const endOf = (pod: Pod): string => {
  const { message } = pod.status ?? {}
  const disruption = disruptionOf(pod)
  if (disruption.reason) return [disruption.reason, disruption.message].filter(Boolean).join(': ')
  const ended = mainStatus(pod)?.state?.terminated
  if (!ended) return message || 'the pod ended'
  return ended.reason === 'OOMKilled' ? `exit code ${ended.exitCode} (OOMKilled)` : `exit code ${ended.exitCode}`
}

/** The kubelet says the same of a container that it has lost, which had an id. */
const neverMade = ({ containerID, state }: V1ContainerStatus): boolean =>
  state?.terminated?.reason === 'ContainerStatusUnknown' && !containerID

/**
 * How a process ended; undefined where none has ever run. The pod's own reason comes first: of an evicted one the
 * container only says that it ended.
 */
const terminationOf = (
  state: V1ContainerState | undefined,
  podStatus: Pod['status'],
): InstanceStatus['lastTermination'] => {
  const ended = state?.terminated
  if (!ended || failedStart(state)) return undefined
  const reason = podStatus?.reason ?? ended.reason
  const message = podStatus?.message ?? (ended.message === undefined ? undefined : runtimeWords(ended.message))
  return {
    exitCode: ended.exitCode,
    ...(reason ? { reason } : {}),
    ...(message ? { message: message.slice(0, 1024) } : {}),
    ...(ended.finishedAt ? { finishTime: String(ended.finishedAt) } : {}),
  }
}

/** What the pod tells of the process: its last end, its restarts, its start. */
export const processFields = (
  pod: Pod | undefined,
  before: InstanceStatus,
): Pick<InstanceStatus, 'lastTermination' | 'restarts' | 'startTime'> => {
  const main = pod && mainStatus(pod)
  const state = main && neverMade(main) ? undefined : main?.state
  const lastTermination =
    terminationOf(state, pod?.status) ?? terminationOf(main?.lastState, undefined) ?? before.lastTermination
  const startTime = main?.state?.running?.startedAt ? String(main.state.running.startedAt) : before.startTime
  return {
    ...(lastTermination ? { lastTermination } : {}),
    restarts: main?.restartCount ?? 0,
    ...(startTime ? { startTime } : {}),
  }
}
