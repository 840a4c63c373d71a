import type { Instance } from '../../../crds/instance.ts'
import { conditionOf } from '../../conditions.ts'
import { isStartRequested } from './start-request.ts'

const told = ({ status }: Instance) => conditionOf(status.conditions, 'Running')?.reason

/** Its process has ended for good, as its status tells; also when somebody has removed the pod since. */
export const hasCompleted = (instance: Instance): boolean => {
  const reason = told(instance)
  const isEnd = reason === 'Completed' || reason === 'Failed'
  return isEnd && instance.spec.restartPolicy !== 'Always' && !isStartRequested(instance)
}

/** It was ended for its deadline. A later one does not bring it back; none does. */
export const isPastDeadline = (instance: Instance): boolean =>
  told(instance) === 'DeadlineExceeded' &&
  instance.spec.activeDeadlineSeconds !== undefined &&
  !isStartRequested(instance)

/** It was found idle, and is stopped for that. */
export const isIdleStopped = (instance: Instance): boolean =>
  instance.status.idleStop !== undefined &&
  instance.spec.idleTimeoutSeconds !== undefined &&
  !isStartRequested(instance)

/** Whether its status tells that it has no pod and gets none: then it keeps no overlay. */
export const isAtRest = (instance: Instance): boolean =>
  hasCompleted(instance) || isPastDeadline(instance) || isIdleStopped(instance)
