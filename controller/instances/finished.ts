import type { Instance } from '../../crds/instance.ts'
import { conditionOf } from '../conditions.ts'

/** Its process has ended for good, as its status tells; also when somebody has removed the pod since. */
export const isFinished = ({ spec, status }: Instance): boolean => {
  const reason = conditionOf(status.conditions, 'Running')?.reason
  return spec.restartPolicy !== 'Always' && (reason === 'Completed' || reason === 'Failed')
}
