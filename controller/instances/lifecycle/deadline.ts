import { hasCompleted, isPastDeadline } from './at-rest.ts'
import { nextPod } from './next-pod.ts'
import { dueAt, type Policy } from './policy.ts'
import { howToStart, sinceStart } from './start-request.ts'

/** Ends what has been active for too long, whatever it does; what has finished before that stays as it finished. */
export const deadline: Policy = ({ instance, pod, now }) => {
  const { activeDeadlineSeconds } = instance.spec
  const { firstStartTime } = instance.status
  const hasFinished = hasCompleted(instance) || (pod !== undefined && nextPod(instance, pod, now).kind === 'none')
  if (activeDeadlineSeconds === undefined || firstStartTime === undefined || hasFinished) return {}
  const since = sinceStart(instance, firstStartTime)
  const message = `it has been active since ${since}, longer than activeDeadlineSeconds: ${activeDeadlineSeconds}. ${howToStart(instance)}`
  const decision = { kind: 'rest', rest: { reason: 'DeadlineExceeded', message } } as const
  if (isPastDeadline(instance)) return { decision }
  return dueAt(Date.parse(since) + activeDeadlineSeconds * 1000, now, () => decision)
}
