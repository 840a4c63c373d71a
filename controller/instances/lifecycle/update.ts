import type { Instance } from '../../../crds/instance.ts'
import type { Pod } from '../../../kube/resources.ts'
import { isRunning } from '../pod-state.ts'

/**
 * Why a pod that was made of an earlier spec is replaced now; undefined while it
 * waits for its restart. Where no process runs there is none to interrupt: that
 * is its restart.
 */
export const replacedBecause = ({ spec: { updatePolicy } }: Instance, pod: Pod): string | undefined => {
  if (!isRunning(pod)) return 'the spec or its image has changed, and its process does not run'
  if (updatePolicy === 'Recreate') return 'the spec or its image has changed (updatePolicy: Recreate)'
  return undefined
}
