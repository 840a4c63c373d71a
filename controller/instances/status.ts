import type { Instance, InstanceStatus } from '../../crds/instance.ts'
import type { Pod } from '../../kube/resources.ts'
import { type ConditionVerdict, mergeConditions, type Standing, standingConditions, verdict } from '../conditions.ts'
import { lifecycleFields } from './lifecycle/fields.ts'
import { idleVerdicts } from './lifecycle/idle-condition.ts'
import { type NextPod, retryWords } from './lifecycle/next-pod.ts'
import type { Rest } from './lifecycle/policy.ts'
import {
  agentTrouble,
  endOf,
  hasEnded,
  isRunning,
  isTerminal,
  isUnscheduled,
  processFields,
  startFailure,
  type Trouble,
  unready,
  unschedulable,
} from './pod-state.ts'
import { serviceVerdicts, standingWith } from './service/condition.ts'
import type { ServiceFinding } from './service/ensure.ts'

/** What a pass found out; the conditions follow from it alone. */
export type Finding =
  | { kind: 'invalid'; message: string }
  /** A pod of another's has the name. */
  | { kind: 'nameTaken'; message: string }
  | { kind: 'previousPod'; message: string; pod?: Pod | undefined }
  /** No pod yet; either or both stand in the way. */
  | { kind: 'blocked'; image?: Trouble | undefined; overlays?: Trouble | undefined }
  /** The API server does not take the pod. */
  | { kind: 'podRefused'; message: string }
  | { kind: 'stopping'; pod: Pod; rest: Rest }
  | { kind: 'stopped'; rest: Rest }
  /** The pod of a process that ended for good has been removed. */
  | { kind: 'finished' }
  | { kind: 'pod'; pod: Pod; drift: Drift; unprovisioned?: Trouble | undefined; next?: NextPod | undefined }

/** How the pod differs from what would be made now. */
export type Drift =
  | { kind: 'none' }
  /** `waits` says what another pod would wait for, where one is to be made at once. */
  | { kind: 'spec'; waits?: string | undefined }
  | { kind: 'base'; from: string; to: string }
  /** No pod can be made of the spec as it is now; the one there is of an earlier one. */
  | { kind: 'invalid'; message: string }

/** The grant: what the node agent may let the pod mount (DESIGN §4, step 4). */
export type Grant = Pick<InstanceStatus, 'pod' | 'image' | 'overlays'>

interface Verdicts {
  image: ConditionVerdict
  overlays: ConditionVerdict
  running: ConditionVerdict
  standing: Standing
}

const imageReady = verdict('ImageReady', 'True', 'Resolved')
const overlaysReady = verdict('OverlaysReady', 'True', 'Attached')
const notLooked = {
  image: verdict('ImageReady', 'Unknown', 'NotLooked'),
  overlays: verdict('OverlaysReady', 'Unknown', 'NotLooked'),
}
const bothReady = { image: imageReady, overlays: overlaysReady }

const not = (type: string, { reason, message }: Trouble): ConditionVerdict => verdict(type, 'False', reason, message)

/** The same words for `Running` and for how the instance stands. */
const notRunning = (kind: 'progressing' | 'stalled', trouble: Trouble): Pick<Verdicts, 'running' | 'standing'> => ({
  running: not('Running', trouble),
  standing: { kind, ...trouble },
})

/** Whether the runtime's or the agent's words are about an overlay or the image. */
const concerns = ({ reason, message }: Trouble): Pick<Verdicts, 'image' | 'overlays'> => {
  if (reason.startsWith('Image')) return { ...bothReady, image: not('ImageReady', { reason, message }) }
  const ofOverlay = reason.startsWith('Overlay') || /\boverlay "/.test(message)
  return ofOverlay ? { ...bothReady, overlays: not('OverlaysReady', { reason, message }) } : bothReady
}

const ofEndedPod = (pod: Pod, next: NextPod | undefined): Verdicts => {
  const failure = startFailure(pod)
  if (next?.kind === 'due') {
    const trouble = failure ?? { reason: 'PodFailed', message: endOf(pod) }
    const message = `${trouble.message}; ${retryWords(next.backoff)}`
    return {
      ...(failure ? concerns(failure) : bothReady),
      ...notRunning('progressing', { reason: trouble.reason, message }),
    }
  }
  const message = endOf(pod)
  if (pod.status?.phase === 'Failed') return { ...bothReady, ...notRunning('stalled', { reason: 'Failed', message }) }
  return {
    ...bothReady,
    running: verdict('Running', 'False', 'Completed', message),
    standing: { kind: 'ready', reason: 'Completed', message },
  }
}

const ofPod = ({ pod, next, unprovisioned }: Extract<Finding, { kind: 'pod' }>): Verdicts => {
  if (isTerminal(pod)) return ofEndedPod(pod, next)
  if (isRunning(pod)) {
    const trouble = unready(pod)
    const standing: Standing = trouble ? { kind: 'progressing', ...trouble } : { kind: 'ready', reason: 'Running' }
    return { ...bothReady, running: verdict('Running', 'True', 'Started'), standing }
  }
  const waiting = unschedulable(pod)
  const trouble = agentTrouble(pod) ?? startFailure(pod) ?? (isUnscheduled(pod) ? unprovisioned : undefined)
  if (trouble) return { ...concerns(trouble), ...notRunning('progressing', trouble) }
  if (hasEnded(pod)) {
    return {
      ...bothReady,
      ...notRunning('progressing', { reason: 'Ending', message: `${endOf(pod)}; the pod is ending` }),
    }
  }
  const waits = waiting ?? { reason: 'Starting', message: 'the pod is starting' }
  return { ...bothReady, ...notRunning('progressing', waits) }
}

const ofBlocked = (image: Trouble | undefined, overlays: Trouble | undefined): Verdicts => {
  const first = image ?? overlays ?? { reason: 'Starting', message: 'the pod is about to be made' }
  return {
    image: image ? not('ImageReady', image) : imageReady,
    overlays: overlays ? not('OverlaysReady', overlays) : notLooked.overlays,
    ...notRunning('progressing', first),
  }
}

/** A finished instance stays as it was told when its pod was there. */
const ofFinished = ({ status }: Instance): Verdicts => {
  const exitCode = status.lastTermination?.exitCode
  const message = exitCode === undefined ? 'the pod ended' : `exit code ${exitCode}`
  return status.conditions?.some(({ type, reason }) => type === 'Running' && reason === 'Failed')
    ? { ...bothReady, ...notRunning('stalled', { reason: 'Failed', message }) }
    : {
        ...bothReady,
        running: verdict('Running', 'False', 'Completed', message),
        standing: { kind: 'ready', reason: 'Completed', message },
      }
}

const stoppingWords = ({ message }: Rest): string =>
  message === '' ? 'the pod is ending' : `the pod is ending: ${message}`

const verdictsOf = (finding: Finding, instance: Instance): Verdicts => {
  switch (finding.kind) {
    case 'invalid':
      return { ...notLooked, ...notRunning('stalled', { reason: 'InvalidSpec', message: finding.message }) }
    case 'nameTaken':
      return { ...notLooked, ...notRunning('stalled', { reason: 'PodNameTaken', message: finding.message }) }
    case 'previousPod':
      return {
        ...notLooked,
        ...notRunning('progressing', { reason: 'WaitingForPreviousPod', message: finding.message }),
      }
    case 'podRefused':
      return {
        ...notLooked,
        image: imageReady,
        ...notRunning('progressing', { reason: 'PodRefused', message: finding.message }),
      }
    case 'blocked':
      return ofBlocked(finding.image, finding.overlays)
    case 'stopping':
      return {
        ...notLooked,
        running: verdict('Running', 'True', 'Stopping'),
        standing: { kind: 'progressing', reason: 'Stopping', message: stoppingWords(finding.rest) },
      }
    case 'stopped':
      return {
        ...notLooked,
        running: not('Running', finding.rest),
        standing: { kind: finding.rest.reason === 'DeadlineExceeded' ? 'stalled' : 'ready', ...finding.rest },
      }
    case 'finished':
      return ofFinished(instance)
    case 'pod': {
      const verdicts = ofPod(finding)
      const { drift } = finding
      if (drift.kind !== 'invalid') return verdicts
      return { ...verdicts, standing: { kind: 'stalled', reason: 'InvalidSpec', message: drift.message } }
    }
  }
}

const upToDate = (finding: Finding): ConditionVerdict => {
  const drift = finding.kind === 'pod' ? finding.drift : { kind: 'none' as const }
  switch (drift.kind) {
    case 'none':
      return verdict('UpToDate', 'True', 'AsSpecified')
    case 'spec':
      return verdict(
        'UpToDate',
        'False',
        'RestartRequired',
        drift.waits ?? 'the spec or its image has changed since the pod was made: delete the pod to apply it',
      )
    case 'invalid':
      return verdict('UpToDate', 'False', 'InvalidSpec', drift.message)
    case 'base':
      return verdict(
        'UpToDate',
        'False',
        'BaseChanged',
        `the image is now ${drift.to}, but the overlay was first written upon ${drift.from} and stays on that`,
      )
  }
}

/** What a pass came to. */
export interface Outcome {
  finding: Finding
  grant?: Grant | undefined
  /** Undefined where none is asked for. */
  service?: ServiceFinding | undefined
}

/** The whole status after a pass. Without a grant nothing may be mounted. */
export const statusAfter = (instance: Instance, { finding, grant, service }: Outcome, now: Date): InstanceStatus => {
  const { generation } = instance.metadata
  const { image, overlays, running, standing } = verdictsOf(finding, instance)
  const verdicts = [
    ...standingConditions(standingWith(service, standing)),
    ...[running, image, overlays, upToDate(finding)],
    ...idleVerdicts(instance, finding),
    ...serviceVerdicts(service),
  ]
  return {
    observedGeneration: generation,
    ...grant,
    ...processFields('pod' in finding ? finding.pod : undefined, instance.status),
    ...lifecycleFields(instance, finding, now),
    conditions: mergeConditions(instance.status.conditions, verdicts, { generation, now }),
  }
}
