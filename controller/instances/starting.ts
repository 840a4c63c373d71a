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

/** Whether so many are on their way that what can wait makes room for them: each has more need of the API server. */
export const manyStart = ({ instances }: { instances: Pick<Reflector<Instance>, 'by'> }): boolean =>
  instances.by('starting', everywhere).length > many
