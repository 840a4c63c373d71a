import type { Instance, InstanceStatus } from '../../crds/instance.ts'
import type { Pod } from '../../kube/resources.ts'
import { type ConditionVerdict, conditionOf, mergeConditions, standingConditions, verdict } from '../conditions.ts'
import { lifecycleFields } from './lifecycle/fields.ts'
import { idleVerdicts } from './lifecycle/idle-condition.ts'
import type { Rest } from './lifecycle/policy.ts'
import { howToStart } from './lifecycle/start-request.ts'
import { type AboutPod, bothReady, imageReady, not, notRunning, ofPod, type Verdicts } from './of-pod.ts'
import { isTerminal, processFields, type Trouble } from './pod-state.ts'
import { serviceVerdicts, standingWith } from './service/condition.ts'
import type { ServiceFinding } from './service/ensure.ts'
import { waitingToRestartReason } from './waiting.ts'

/** What a pass found out; the conditions follow from it alone. */
export type Finding =
  | { kind: 'invalid'; message: string }
  /** A pod of another's has the name. */
  | { kind: 'nameTaken'; message: string }
  | { kind: 'previousPod'; message: string; pod?: Pod | undefined }
  /** No pod yet; either or both stand in the way. */
  | { kind: 'blocked'; image?: Trouble | undefined; overlays?: Trouble | undefined }
  /** The API server does not take the pod; `isInvalid`: nor will it ever, as the pod is. */
  | { kind: 'podRefused'; message: string; isInvalid: boolean }
  | { kind: 'stopping'; pod: Pod; rest: Rest }
  | { kind: 'stopped'; rest: Rest }
  /** The pod of a process that ended for good has been removed. */
  | { kind: 'finished'; drift: Drift }
  | ({ kind: 'pod'; pod: Pod; drift: Drift } & AboutPod)

/** How the pod differs from what would be made now. */
export type Drift =
  | { kind: 'none' }
  /** `waits` says what another pod would wait for, where one is to be made at once; `leaves` is the image that its overlay leaves with that. */
  | { kind: 'spec'; waits?: string | undefined; leaves?: string | undefined }
  | { kind: 'base'; from: string; to: string; obstacle?: string | undefined }
  /** The image cannot be told; its overlay keeps it on the earlier one. */
  | { kind: 'image'; from: string; trouble: Trouble }
  /** What another pod would be made of is not there, so the pod that is cannot be compared with it. */
  | { kind: 'unknown'; trouble: Trouble }
  /** No pod can be made of the spec as it is now; the one there is of an earlier one. */
  | { kind: 'invalid'; message: string }

/** The grant: what the node agent may let the pod mount, and nothing before it is written. */
export type Grant = Pick<InstanceStatus, 'pod' | 'image' | 'overlays'>

const notLooked = {
  image: verdict('ImageReady', 'Unknown', 'NotLooked'),
  overlays: verdict('OverlaysReady', 'Unknown', 'NotLooked'),
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
const ofFinished = ({ status: { conditions, lastTermination } }: Instance): Verdicts => {
  const told = conditionOf(conditions, 'Running')
  const message = told?.message || (lastTermination ? `exit code ${lastTermination.exitCode}` : 'the pod ended')
  return told?.reason === 'Failed'
    ? { ...bothReady, ...notRunning('stalled', { reason: 'Failed', message }) }
    : {
        ...bothReady,
        running: verdict('Running', 'False', 'Completed', message),
        standing: { kind: 'ready', reason: 'Completed', message },
      }
}

export const waitingForPreviousPod = 'WaitingForPreviousPod'
/** Reasons of a pod that the API server does not take: quota, pod security; and a pod that cannot be. */
export const podRefused = 'PodRefused'
export const podInvalid = 'PodInvalid'

const withDrift = (verdicts: Verdicts, drift: Drift): Verdicts =>
  drift.kind === 'invalid'
    ? { ...verdicts, standing: { kind: 'stalled', reason: 'InvalidSpec', message: drift.message } }
    : verdicts

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
        ...notRunning('progressing', { reason: waitingForPreviousPod, message: finding.message }),
      }
    case 'podRefused':
      return {
        ...notLooked,
        image: imageReady,
        ...(finding.isInvalid
          ? notRunning('stalled', { reason: podInvalid, message: finding.message })
          : notRunning('progressing', { reason: podRefused, message: finding.message })),
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
      return withDrift(ofFinished(instance), finding.drift)
    case 'pod':
      return withDrift(ofPod(finding.pod, finding, instance), finding.drift)
  }
}

/** What applies a changed spec. A process that has ended for good is started again by nobody else. */
const remedyOf = (finding: Finding, instance: Instance): string => {
  const hasEnded = finding.kind === 'finished' || ('pod' in finding && finding.pod && isTerminal(finding.pod))
  return hasEnded ? `it has run, and is not run again by itself. ${howToStart(instance)}` : 'delete the pod to apply it'
}

/** What following means for the files of an overlay. */
const followed = (leaves: string | undefined): string =>
  leaves === undefined
    ? ''
    : `. The overlay then follows from ${leaves}: what it has of that image, package databases among it, hides what is new`

const stays = (obstacle: string | undefined): string =>
  obstacle === undefined
    ? 'stays on that until it is told to follow it (spec.overlays[].base)'
    : `cannot follow: ${obstacle}`

const upToDate = (finding: Finding, instance: Instance): ConditionVerdict => {
  const drift = 'drift' in finding ? finding.drift : { kind: 'none' as const }
  switch (drift.kind) {
    case 'none':
      return verdict('UpToDate', 'True', 'AsSpecified')
    case 'spec':
      return verdict(
        'UpToDate',
        'False',
        drift.waits === undefined ? 'RestartRequired' : waitingToRestartReason,
        (drift.waits ?? `the spec or its image has changed since the pod was made: ${remedyOf(finding, instance)}`) +
          followed(drift.leaves),
      )
    case 'image':
      return verdict(
        'UpToDate',
        'False',
        drift.trouble.reason,
        `${drift.trouble.message}; the overlay keeps the instance on ${drift.from}`,
      )
    case 'unknown':
      return verdict(
        'UpToDate',
        'False',
        drift.trouble.reason,
        `the spec has changed since the pod was made, and no other can be made of it: ${drift.trouble.message}`,
      )
    case 'invalid':
      return verdict('UpToDate', 'False', 'InvalidSpec', drift.message)
    case 'base':
      return verdict(
        'UpToDate',
        'False',
        'BaseChanged',
        `the image is now ${drift.to}, but the overlay lies upon ${drift.from} and ${stays(drift.obstacle)}`,
      )
  }
}

/** The whole status after a pass. Without a grant nothing may be mounted. */
export const statusAfter = (
  instance: Instance,
  { finding, grant, service }: { finding: Finding; grant?: Grant | undefined; service?: ServiceFinding | undefined },
  now: Date,
): InstanceStatus => {
  const { generation } = instance.metadata
  const { image, overlays, running, standing } = verdictsOf(finding, instance)
  const verdicts = [
    ...standingConditions(standingWith(service, standing)),
    ...[running, image, overlays, upToDate(finding, instance)],
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
