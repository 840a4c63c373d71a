import type { Instance } from '../crds/instance.ts'
import { conditionOf } from './conditions.ts'
import { annotations } from './names.ts'

/** What an Instance's status says to who looks at it: the command line, and the page. */

/** How an instance stands, for who waits for it to run. */
export type Standing =
  | { kind: 'running' }
  /** It goes on by itself; `reason` and `message` say what it is at. */
  | { kind: 'waiting'; reason: string; message: string }
  /** It does not until somebody changes something. */
  | { kind: 'hopeless'; reason: string; message: string }
  /** Its process has come to its end. */
  | { kind: 'ended'; exitCode: number | undefined; message: string }
  /** It is not to run. */
  | { kind: 'atRest'; reason: string; message: string }

/** Reasons of one that rests until it is asked for. */
const resting = new Set(['Stopped', 'Idle', 'DeadlineExceeded'])

const asked = ({ metadata }: Instance): string | undefined =>
  metadata.annotations[annotations.startRequested]?.slice(0, 253)

/** Whether the status is of the spec, and of the request to start, as they are now. */
const isCurrent = (instance: Instance): boolean => {
  const { metadata, status } = instance
  const token = asked(instance)
  return (status.observedGeneration ?? -1) >= metadata.generation && (!token || token === status.startRequest?.token)
}

export const standingOf = (instance: Instance): Standing => {
  const { spec, status } = instance
  const ready = conditionOf(status.conditions, 'Ready')
  const running = conditionOf(status.conditions, 'Running')
  if (!isCurrent(instance) || !ready || !running)
    return { kind: 'waiting', reason: 'Asked', message: 'the controller is asked' }
  const { reason, message } = ready
  if (running.status === 'True' && running.reason !== 'Stopping' && spec.state === 'Running') return { kind: 'running' }
  if (resting.has(running.reason)) return { kind: 'atRest', reason: running.reason, message: running.message }
  const hasEnded = running.reason === 'Completed' || running.reason === 'Failed'
  if (hasEnded) return { kind: 'ended', exitCode: status.lastTermination?.exitCode, message: running.message }
  const isStalled = conditionOf(status.conditions, 'Stalled')?.status === 'True'
  return { kind: isStalled ? 'hopeless' : 'waiting', reason, message }
}

/** What has to be done to have it run. */
export type Wake =
  | 'nothing'
  /** Set spec.state to Running. */
  | 'state'
  /** Give the annotation lamina.dev/start-requested a new value. */
  | 'request'

export const wakeOf = (instance: Instance): Wake => {
  if (instance.spec.state === 'Stopped') return 'state'
  const { kind } = standingOf(instance)
  return kind === 'atRest' || (kind === 'ended' && instance.spec.restartPolicy !== 'Always') ? 'request' : 'nothing'
}

/** One word for a list: `Running`, `Stopped`, `Failed (7)`, or the reason of what it waits for. */
export const stateWord = (instance: Instance): string => {
  const standing = standingOf(instance)
  switch (standing.kind) {
    case 'running':
      return conditionOf(instance.status.conditions, 'Ready')?.status === 'True' ? 'Running' : 'NotReady'
    case 'ended':
      return standing.exitCode ? `Failed (${standing.exitCode})` : 'Completed'
    default:
      return standing.reason === 'Asked' ? 'Pending' : standing.reason
  }
}
