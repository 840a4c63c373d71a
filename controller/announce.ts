import type { Condition } from '../crds/common.ts'
import type { EventRecorder } from '../kube/events.ts'
import { apiVersion, pendingReason } from '../kube/names.ts'
import type { Metadata } from '../kube/resource.ts'
import { conditionOf } from './conditions.ts'

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
  pendingReason,
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
  // Tells how far it is: once is enough.
  if (is.reason === pendingReason && was?.reason === pendingReason) return
  const trouble = is.status !== 'True' && !routine.has(is.reason)
  events.event({ apiVersion, ...about }, trouble ? 'Warning' : 'Normal', is.reason, is.message || is.reason)
}
