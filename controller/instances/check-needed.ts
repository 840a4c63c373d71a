import type { Instance } from '../../crds/instance.ts'
import type { PersistentOverlay } from '../../crds/persistent-overlay.ts'
import { unhealthy } from '../../kube/names.ts'
import { hasPrepare } from '../../kube/prepare-container.ts'
import type { Pod } from '../../kube/resources.ts'
import { conditionOf } from '../conditions.ts'
import { hasEnded, isRunning, prepareFinishTime } from './pod-state.ts'

/** Whether the pod's `prepare`, if it has one, could not know of what was found at that time. */
const isPrepareOver = (pod: Pod, found: string): boolean => {
  const finished = prepareFinishTime(pod)
  return !hasPrepare(pod) || (finished !== undefined && Date.parse(found) >= Date.parse(finished))
}

/**
 * Why the instance's pod must be replaced by one whose `prepare` has the overlay
 * checked: this one only tries to mount it, again and again. Undefined while
 * there is nothing to check, or the pod has not come to that, or is past it.
 */
export const checkNeededBy = (
  { spec }: Instance,
  pod: Pod,
  overlayOf: (name: string) => PersistentOverlay | undefined,
): string | undefined => {
  const name = spec.overlays.find(({ access }) => access === 'ReadWrite')?.name
  const isOver = hasEnded(pod) && spec.restartPolicy !== 'Always'
  if (name === undefined || isRunning(pod) || isOver) return undefined
  const healthy = conditionOf(overlayOf(name)?.status.conditions, 'Healthy')
  const isDue = healthy?.reason === unhealthy.errorsNoted || healthy?.reason === unhealthy.checkNeeded
  return isDue && isPrepareOver(pod, healthy.lastTransitionTime) ? `overlay "${name}" (${healthy.message})` : undefined
}
