import type { NodeReason } from '../../../kube/node-reasons.ts'
import { Trouble } from '../trouble.ts'
import type { Preparation, PreparedOverlay } from './preparation.ts'

type Prepare = (preparation: Preparation, signal: AbortSignal) => Promise<PreparedOverlay | undefined>

/** With these an attempt ends that has found the image still, and may have written to it. */
const ends: ReadonlySet<NodeReason> = new Set([
  'OverlayDamaged',
  'OverlayNoSpace',
  'OverlayNotChecked',
  'OverlayNotImported',
])

/**
 * The same preparation, which does not take its own writes to an image that a user has brought for somebody's copying:
 * an attempt that fails would hide its reason from the next ones for as long as a copy is waited for.
 *
 * @param now milliseconds since 1970, as the files have it
 */
export const knowingOwnWrites = (prepare: Prepare, now: () => number = Date.now): Prepare => {
  /** When the last attempt ended, by the overlay's uid. */
  const ended = new Map<string, number>()
  return async (preparation, signal) => {
    const { uid, existing, made } = preparation
    if (!existing || made) {
      ended.delete(uid)
      return prepare(preparation, signal)
    }
    try {
      const prepared = await prepare({ ...preparation, ownWritesUntil: ended.get(uid) }, signal)
      if (prepared && !prepared.inUse) ended.set(uid, now())
      return prepared
    } catch (error) {
      if (error instanceof Trouble && ends.has(error.reason)) ended.set(uid, now())
      throw error
    }
  }
}
