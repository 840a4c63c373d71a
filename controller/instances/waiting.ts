import type { Instance } from '../../crds/instance.ts'
import { timestamp } from '../../kube/clock.ts'
import { conditionOf } from '../conditions.ts'
import { type Claimant, claimantOf } from './allocate.ts'

/** Reason of `OverlaysReady=False` while others have what it wants. */
export const waitingReason = 'OverlayInUse'

const waitsSince = ({ status }: Instance): string | undefined => {
  const condition = conditionOf(status.conditions, 'OverlaysReady')
  return condition?.status === 'False' && condition.reason === waitingReason ? condition.lastTransitionTime : undefined
}

export const isWaiting = (instance: Instance): boolean => waitsSince(instance) !== undefined

/** Reason of `UpToDate=False` of one that runs on, for another pod of it would wait. */
export const waitingToRestartReason = 'WaitingForOverlay'

/** Whether it is news to the instance who has its overlays. */
export const awaitsOverlay = (instance: Instance): boolean =>
  isWaiting(instance) || conditionOf(instance.status.conditions, 'UpToDate')?.reason === waitingToRestartReason

/** The instance as a claimant: it comes after those who wait already, if it does not wait itself. */
export const asClaimant = (instance: Instance, now: Date): Claimant => {
  const since = waitsSince(instance)
  return claimantOf(instance, { since: since ?? timestamp(now), waits: since !== undefined })
}

/** Who else waits for overlays. */
export const waitingOthers = (instance: Instance, all: readonly Instance[]): Claimant[] =>
  all.flatMap((other) => {
    const { metadata, spec } = other
    if (metadata.uid === instance.metadata.uid || metadata.deletionTimestamp || spec.state !== 'Running') return []
    const since = waitsSince(other)
    return since === undefined ? [] : [claimantOf(other, { since, waits: true })]
  })
