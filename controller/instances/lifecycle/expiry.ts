import { hasCompleted, isPastDeadline } from './at-rest.ts'
import { dueAt, type Policy } from './policy.ts'

/** Deletes what has finished and has been looked at for long enough. */
export const expiry: Policy = ({ instance, now }) => {
  const { ttlSecondsAfterFinished } = instance.spec
  const { finishTime } = instance.status
  const hasFinished = hasCompleted(instance) || isPastDeadline(instance)
  if (ttlSecondsAfterFinished === undefined || finishTime === undefined || !hasFinished) return {}
  const message = `it finished at ${finishTime}, ttlSecondsAfterFinished: ${ttlSecondsAfterFinished} ago; its overlays stay`
  return dueAt(Date.parse(finishTime) + ttlSecondsAfterFinished * 1000, now, () => ({ kind: 'expired', message }))
}
