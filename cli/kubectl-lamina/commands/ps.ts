import type { Instance } from '../../../crds/instance.ts'
import { conditionOf } from '../../../kube/conditions.ts'
import { stateWord } from '../../../kube/instance-standing.ts'
import { instances } from '../../../kube/resources.ts'
import { ageOf } from '../../shared/age.ts'
import type { CommandContext } from '../context.ts'
import { type Columns, type ListOptions, printList } from '../listing.ts'
import { watchList } from '../watching.ts'

const overlaysOf = ({ spec }: Instance): string =>
  spec.overlays.map(({ name, access }) => (access === 'ReadOnly' ? `${name}:ro` : name)).join(',') || '-'

const instanceColumns = (now: () => Date): Columns<Instance> => ({
  header: ['NAME', 'IMAGE', 'STATE', 'OVERLAYS', 'AGE'],
  wide: ['NODE', 'RESTARTS', 'EXIT', 'MESSAGE'],
  row: (instance) => [
    instance.metadata.name,
    instance.spec.imageRef.name,
    stateWord(instance),
    overlaysOf(instance),
    ageOf(instance.metadata.creationTimestamp, now()),
  ],
  wideRow: ({ status }) => [
    status.pod?.nodeName ?? '-',
    String(status.restarts ?? 0),
    status.lastTermination ? String(status.lastTermination.exitCode) : '-',
    conditionOf(status.conditions, 'Ready')?.message || '-',
  ],
})

export const ps = (
  context: CommandContext,
  { watch, ...options }: ListOptions & { watch?: boolean },
): Promise<void> => {
  const columns = instanceColumns(() => new Date())
  return watch ? watchList(context, instances, columns, options) : printList(context, instances, columns, options)
}
