import type { Instance, InstanceStatus } from '../../crds/instance.ts'
import type { Metadata } from '../../kube/resource.ts'
import type { Pod } from '../../kube/resources.ts'
import { conditionOf, isUntold } from '../conditions.ts'
import { type Patience, waitsOn } from '../patience.ts'
import { saysTheSame } from '../write-status.ts'

/**
 * Words that are as a rule out of date a moment later. Each would be one of four
 * writes of a start that make do with two: "the pod is made" and "it runs".
 */

/** What is not over by then is worth its write. */
const firstStepPatience: Patience = { usualMs: 5_000, longMs: 5_000 }
const nodePatience: Patience = { usualMs: 15_000, longMs: 300_000 }

/** Somebody else's first pass is about to end these. */
const firstSteps = new Set(['ClaimPending', 'Resolving'])

const isFirstStep = ({ status }: Instance, after: InstanceStatus): boolean =>
  isUntold({ status }) && firstSteps.has(conditionOf(after.conditions, 'Ready')?.reason ?? '')

/** The node alone is new: it will be told with the process's start. */
const isOnlyNode = ({ status }: Instance, after: InstanceStatus): boolean => {
  const { pod } = status
  const { nodeName } = after.pod ?? {}
  if (nodeName === undefined || !pod || pod.nodeName !== undefined) return false
  const withNode: InstanceStatus = { ...status, pod: { ...pod, nodeName } }
  return saysTheSame(withNode, after)
}

/**
 * How many milliseconds the status may wait for more to tell; 0 when it is to be written now.
 *
 * @param isBurst whether many others start too
 */
export const waitsForMore = (
  instance: Instance,
  after: InstanceStatus,
  { pod, isBurst, now }: { pod: Pod | undefined; isBurst: boolean; now: Date },
): number => {
  const left = ({ creationTimestamp = '' }: Metadata, patience: Patience): number =>
    waitsOn(patience, { sinceMs: Date.parse(creationTimestamp), now, isLong: isBurst })
  if (isFirstStep(instance, after)) return left(instance.metadata, firstStepPatience)
  return pod && isOnlyNode(instance, after) ? left(pod.metadata, nodePatience) : 0
}
