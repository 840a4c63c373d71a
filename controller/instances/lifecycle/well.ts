import { isRunning, mainStartTime } from '../pod-state.ts'
import { wellAfterMs } from './next-pod.ts'
import type { Policy } from './policy.ts'

/** When a process has run long enough for the failures before it to be forgotten, nothing else calls for the pass that takes them from the status. */
export const well: Policy = ({ instance, pod, now }) => {
  const started = pod && isRunning(pod) ? mainStartTime(pod) : undefined
  if (!instance.status.backoff || started === undefined) return {}
  const reviewAtMs = Date.parse(started) + wellAfterMs
  return reviewAtMs > now.getTime() ? { reviewAtMs } : {}
}
