import { timestamp } from '../../../kube/clock.ts'
import { annotations, idleCondition } from '../../../kube/names.ts'
import { podCondition } from '../../../kube/pod-condition.ts'
import type { Pod } from '../../../kube/resources.ts'

/** What the node knows of a pod's use. */
export type Use = { kind: 'used'; seen: string } | { kind: 'idle'; since: Date; seen: string }

/** The pod condition {@link idleCondition}. */
interface IdleCondition {
  type: string
  status: 'True' | 'False'
  reason: string
  message: string
  lastTransitionTime: string
  lastProbeTime: string
}

/** Who stops for a moment is not told: each change is a write. */
const settledAfterMs = 30_000

/** A look not older than this is asked for, in ms since 1970. */
const askedAtMs = ({ metadata }: Pod): number => {
  const atMs = Date.parse(metadata.annotations[annotations.reportIdle] ?? '')
  return Number.isNaN(atMs) ? 0 : atMs
}

/** What is to be written of it; undefined when the pod says so already, or it is too early to say. */
export const idleReport = (pod: Pod, use: Use, now: Date): IdleCondition | undefined => {
  const before = podCondition(pod, idleCondition)
  const common = { type: idleCondition, message: use.seen, lastProbeTime: timestamp(now) }
  if (use.kind === 'used') {
    if (before?.status !== 'True') return undefined
    return { ...common, status: 'False', reason: 'Used', lastTransitionTime: timestamp(now) }
  }
  const nowMs = now.getTime()
  if (nowMs - use.since.getTime() < settledAfterMs) return undefined
  const since = timestamp(use.since)
  const isTold = before?.status === 'True' && String(before.lastTransitionTime) === since
  const asked = askedAtMs(pod)
  const isAnswered = asked > nowMs || Date.parse(String(before?.lastProbeTime)) >= asked
  if (isTold && isAnswered) return undefined
  return { ...common, status: 'True', reason: 'NotUsed', lastTransitionTime: since }
}

/** Whether somebody asks for it at all. */
export const isAsked = ({ metadata }: Pod): boolean => metadata.annotations[annotations.reportIdle] !== undefined
