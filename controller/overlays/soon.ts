import type { Condition } from '../../crds/common.ts'
import type { Instance } from '../../crds/instance.ts'
import type { PersistentOverlayStatus } from '../../crds/persistent-overlay.ts'
import { isUntold } from '../conditions.ts'
import { type Patience, waitsOn } from '../patience.ts'
import { saysTheSame } from '../write-status.ts'
import { notReleased } from './status.ts'

/**
 * While an instance starts with an overlay, its volume is made: one word of that
 * and of what the node finds then, when all of it is known, instead of one for each.
 */
const patience: Patience = { usualMs: 20_000, longMs: 300_000 }

/** What others act upon; the rest is where and how large the volume is, and in which words. */
const essence = ({ capacity: _, size: __, conditions = [], ...rest }: PersistentOverlayStatus) => ({
  ...rest,
  conditions: conditions.flatMap(({ type, ...told }): Condition[] => {
    if (type === 'Attached' && told.reason !== notReleased) return []
    const { reason, message } = type === 'Ready' && told.status === 'True' ? { reason: '', message: '' } : told
    return [{ ...told, type, reason, message }]
  }),
})

/**
 * How many milliseconds the status may wait for more to tell; 0 when it is to be written now.
 *
 * @param isStart whether the instance that has it, or many others, are still to run
 */
export const waitsForMore = (
  before: PersistentOverlayStatus,
  after: PersistentOverlayStatus,
  { isStart, now }: { isStart: boolean; now: Date },
): number => {
  const [attachment, ...others] = after.attachments ?? []
  // Of many that come one after the other, each would put it off.
  if (!attachment || others.length > 0) return 0
  if (!isStart || saysTheSame(before, after) || !saysTheSame(essence(before), essence(after))) return 0
  return waitsOn(patience, { sinceMs: Date.parse(attachment.attachTime), now, isLong: true })
}

/** What the instance has not done by then, the overlay's own pass does. */
const instancePatienceMs = 30_000

/**
 * How many milliseconds an overlay's pass leaves an untouched overlay to an instance whose first
 * pass is to come, and makes the claim and tells of it with its own; 0 when there is none.
 */
export const waitsForInstance = (instances: readonly Instance[], now: Date): number => {
  const left = ({ metadata: { creationTimestamp = '' } }: Instance): number =>
    Math.min(Date.parse(creationTimestamp) + instancePatienceMs - now.getTime(), instancePatienceMs)
  const coming = instances.filter(
    (instance) =>
      isUntold(instance) && instance.spec.state === 'Running' && instance.metadata.deletionTimestamp === undefined,
  )
  return Math.max(0, ...coming.map(left))
}
