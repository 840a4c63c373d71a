import type { Condition } from '../crds/common.ts'
import type { EventRecorder } from '../kube/events.ts'
import { apiVersion } from '../kube/names.ts'
import type { Metadata } from '../kube/resource.ts'
import { conditionOf } from './conditions.ts'

/** Tells how far it is: once is enough. */
const progressReason = 'ImagePending'

/** Steps on the way that are nobody's trouble. */
const routine = new Set([
  'Starting',
  'Stopping',
  'Ending',
  'WaitingForPreviousPod',
  'Provisioning',
  'Resolving',
  'ContainersNotReady',
  'ClaimPending',
  'OverlayInUse',
  progressReason,
])

/** An Event for each turn that a user should see: the object became Ready, or something new stands in the way. */
export const announce = (
  events: EventRecorder,
  about: { kind: string; metadata: Metadata },
  before: readonly Condition[] | undefined,
  after: readonly Condition[] | undefined,
): void => {
  const was = conditionOf(before, 'Ready')
  const is = conditionOf(after, 'Ready')
  if (!is || (was?.status === is.status && was.reason === is.reason && was.message === is.message)) return
  if (is.reason === progressReason && was?.reason === progressReason) return
  const trouble = is.status !== 'True' && !routine.has(is.reason)
  events.event({ apiVersion, ...about }, trouble ? 'Warning' : 'Normal', is.reason, is.message || is.reason)
}
