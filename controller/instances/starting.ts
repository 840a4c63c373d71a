import type { Instance } from '../../crds/instance.ts'
import type { Reflector } from '../../kube/reflector.ts'
import { conditionOf } from '../conditions.ts'

/** Whether it is on its way to run. */
export const isStarting = ({ metadata, spec, status: { conditions } }: Instance): boolean =>
  spec.state === 'Running' &&
  metadata.deletionTimestamp === undefined &&
  conditionOf(conditions, 'Ready')?.status !== 'True' &&
  conditionOf(conditions, 'Stalled')?.status !== 'True'

const everywhere = 'everywhere'
export const startingIndex = (instance: Instance): string[] => (isStarting(instance) ? [everywhere] : [])

const many = 10
/** What is on its way for longer has something in its way, and needs nothing of the API server. */
const longMs = 120_000

/** Since when it is as it is, in ms. */
const sinceMs = ({ metadata: { creationTimestamp = '' }, status: { conditions } }: Instance): number =>
  Date.parse(conditionOf(conditions, 'Ready')?.lastTransitionTime ?? creationTimestamp)

/** Whether so many have begun to start a short while ago that what can wait makes room for them: each has more need of the API server. */
export const manyStart = ({ instances }: { instances: Pick<Reflector<Instance>, 'by'> }, now: Date): boolean => {
  let count = 0
  for (const instance of instances.by('starting', everywhere)) {
    if (now.getTime() - sinceMs(instance) < longMs) count++
    if (count > many) return true
  }
  return false
}
