import type { Instance } from '../../crds/instance.ts'
import { pendingReason } from '../../kube/names.ts'
import { isHopeless, isNodeReason } from '../../kube/node-reasons.ts'
import type { Pod } from '../../kube/resources.ts'
import { type ConditionVerdict, conditionOf, type Standing, verdict } from '../conditions.ts'
import { type NextPod, retryWords } from './lifecycle/next-pod.ts'
import {
  agentTrouble,
  endOf,
  hasAgentSpoken,
  hasEnded,
  isRunning,
  isTerminal,
  isUnscheduled,
  startFailed,
  startFailure,
  type Trouble,
  unready,
  unschedulable,
} from './pod-state.ts'

/** What a pass says of an instance, but for whether it is up to date. */
export interface Verdicts {
  image: ConditionVerdict
  overlays: ConditionVerdict
  running: ConditionVerdict
  standing: Standing
}

export const imageReady = verdict('ImageReady', 'True', 'Resolved')
const overlaysReady = verdict('OverlaysReady', 'True', 'Attached')
export const bothReady = { image: imageReady, overlays: overlaysReady }

export const not = (type: string, { reason, message }: Trouble): ConditionVerdict =>
  verdict(type, 'False', reason, message)

/** The same words for `Running` and for how the instance stands. */
export const notRunning = (
  kind: 'progressing' | 'stalled',
  trouble: Trouble,
): Pick<Verdicts, 'running' | 'standing'> => ({
  running: not('Running', trouble),
  standing: { kind, ...trouble },
})

/** Whether the runtime's or the agent's words are about an overlay or the image. */
const concerns = ({ reason, message }: Trouble): Pick<Verdicts, 'image' | 'overlays'> => {
  if (reason.startsWith('Image')) return { ...bothReady, image: not('ImageReady', { reason, message }) }
  const ofOverlay = reason.startsWith('Overlay') || /\boverlay "/.test(message)
  return ofOverlay ? { ...bothReady, overlays: not('OverlaysReady', { reason, message }) } : bothReady
}

/** What keeps a pod from running, in view of whether trying again can mend it. */
const kept = (trouble: Trouble): Verdicts => ({
  ...concerns(trouble),
  ...notRunning(isHopeless(trouble.reason) ? 'stalled' : 'progressing', trouble),
})

/**
 * What kept the pod before from starting, told until this one starts or meets
 * something else: a new try is no news. Undefined once the spec has changed, or
 * the node has spoken of this pod.
 */
const keptBefore = (pod: Pod, { metadata: { generation }, status }: Instance): Trouble | undefined => {
  const told = conditionOf(status.conditions, 'Running')
  if (told?.status !== 'False' || told.observedGeneration !== generation || hasAgentSpoken(pod)) return undefined
  const { reason, message } = told
  const isOfStart = reason === startFailed || (isNodeReason(reason) && reason !== pendingReason)
  return isOfStart ? { reason, message } : undefined
}

/** What more than the pod itself there is to say of it. */
export interface AboutPod {
  /** An overlay whose volume cannot be made. */
  unprovisioned?: Trouble | undefined
  /** An overlay or its claim has been deleted while the pod may have it mounted. */
  dataGoing?: Trouble | undefined
  /** Whether another follows it. */
  next?: NextPod | undefined
}

const ofEndedPod = (pod: Pod, { next }: AboutPod): Verdicts => {
  const retry = next?.kind === 'due' ? `; ${retryWords(next.backoff)}` : ''
  const failure = startFailure(pod)
  if (failure) {
    const { reason, message } = agentTrouble(pod) ?? failure
    return kept({ reason, message: `${message}${retry}` })
  }
  const message = `${endOf(pod)}${retry}`
  if (next?.kind === 'due') return { ...bothReady, ...notRunning('progressing', { reason: 'PodFailed', message }) }
  if (pod.status?.phase === 'Failed') return { ...bothReady, ...notRunning('stalled', { reason: 'Failed', message }) }
  return {
    ...bothReady,
    running: verdict('Running', 'False', 'Completed', message),
    standing: { kind: 'ready', reason: 'Completed', message },
  }
}

const ofRunningPod = (pod: Pod, { dataGoing }: AboutPod): Verdicts => {
  const trouble = unready(pod)
  return {
    ...bothReady,
    ...(dataGoing ? { overlays: not('OverlaysReady', dataGoing) } : {}),
    running: verdict('Running', 'True', 'Started'),
    standing: trouble ? { kind: 'progressing', ...trouble } : { kind: 'ready', reason: 'Running' },
  }
}

export const ofPod = (pod: Pod, about: AboutPod, instance: Instance): Verdicts => {
  if (isTerminal(pod)) return ofEndedPod(pod, about)
  if (isRunning(pod)) return ofRunningPod(pod, about)
  const trouble = agentTrouble(pod) ?? startFailure(pod) ?? (isUnscheduled(pod) ? about.unprovisioned : undefined)
  if (trouble) return kept(trouble)
  if (hasEnded(pod) && instance.spec.restartPolicy !== 'Always') {
    return {
      ...bothReady,
      ...notRunning('progressing', { reason: 'Ending', message: `${endOf(pod)}; the pod is ending` }),
    }
  }
  if (hasEnded(pod)) {
    return {
      ...bothReady,
      ...notRunning('progressing', { reason: 'Restarting', message: `${endOf(pod)}; it is started again` }),
    }
  }
  const waits = unschedulable(pod)
  if (waits) return { ...bothReady, ...notRunning('progressing', waits) }
  const before = keptBefore(pod, instance)
  if (before) return kept(before)
  return { ...bothReady, ...notRunning('progressing', { reason: 'Starting', message: 'the pod is starting' }) }
}
