import type { Condition } from '../crds/common.ts'
import type { EventRecorder } from '../kube/events.ts'
import { apiVersion, pendingReason } from '../kube/names.ts'
import type { Metadata } from '../kube/resource.ts'
import { conditionOf } from './conditions.ts'
import { claimDeleted, overlayDeleted } from './instances/data-going.ts'

/** Steps that every start and end goes through: the status has them, and by the thousand their Events are a third of all writes. */
const passing = new Set([
  'Starting',
  'Stopping',
  'Ending',
  'Provisioning',
  'Resolving',
  'ContainersNotReady',
  'ClaimPending',
  'WaitingForFirstConsumer',
  'Bound',
])

/** Others are in front: nobody's trouble. */
const waiting = new Set(['WaitingForPreviousPod', 'WaitingForPreviousClaim', 'OverlayInUse', pendingReason])

/** Reasons that are told of although the object is Ready. */
const toldBeside = new Set([overlayDeleted, claimDeleted])

/** An Event for each turn that a user should see: the object became Ready, or something new stands in the way. */
export const announce = (
  events: EventRecorder,
  about: { kind: string; metadata: Metadata },
  before: readonly Condition[] | undefined,
  after: readonly Condition[] | undefined,
): void => {
  const tell = (type: 'Warning' | 'Normal', { reason, message }: Condition): void =>
    events.event({ apiVersion, ...about }, type, reason, message || reason)
  const isNews = ({ type, reason }: Condition): boolean =>
    toldBeside.has(reason) && conditionOf(before, type)?.reason !== reason
  for (const beside of after?.filter(isNews) ?? []) tell('Warning', beside)
  const was = conditionOf(before, 'Ready')
  const is = conditionOf(after, 'Ready')
  if (!is || (was?.status === is.status && was.reason === is.reason && was.message === is.message)) return
  if (passing.has(is.reason)) return
  // Tells how far it is: once is enough.
  if (is.reason === pendingReason && was?.reason === pendingReason) return
  tell(is.status !== 'True' && !waiting.has(is.reason) ? 'Warning' : 'Normal', is)
}
