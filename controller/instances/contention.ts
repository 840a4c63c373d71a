import type { Allocation, Holder } from './allocate.ts'
import type { Trouble } from './pod-state.ts'
import { waitingReason } from './waiting.ts'

/** A condition is for reading: beyond these only their number is told. */
const mostNamed = 5

/**
 * Who stands in the way of an instance, in words: who has the overlay, on which
 * node, since when.
 *
 * @param nodeOf the node of an instance's pod; undefined while it has none
 */
export const blockedBy = (
  allocation: Exclude<Allocation, { kind: 'granted' }>,
  nodeOf: (instanceName: string) => string | undefined,
): Trouble => {
  const { overlay } = allocation
  if (allocation.kind === 'missing')
    return {
      reason: 'OverlayNotFound',
      message: `there is no PersistentOverlay "${overlay}": create it, or correct spec.overlays`,
    }
  const { by, why } = allocation
  const described = ({ name, since }: Holder) => {
    const node = nodeOf(name)
    return `${name} (${node === undefined ? 'not on a node yet' : `on node ${node}`}, since ${since})`
  }
  const more = by.length > mostNamed ? ` and ${by.length - mostNamed} more` : ''
  const holders = `${by.slice(0, mostNamed).map(described).join(', ')}${more}`
  const words = {
    writer: `overlay "${overlay}" is in use for writing by instance ${holders}: this one starts by itself when that has ended`,
    readers: `overlay "${overlay}" is in use for reading by ${holders}: this one starts by itself when all of these have ended`,
    queue: `overlay "${overlay}": instance ${by.map(({ name, since }) => `${name} has waited since ${since}`).join(', ')} and comes first`,
  }
  return { reason: waitingReason, message: words[why] }
}
