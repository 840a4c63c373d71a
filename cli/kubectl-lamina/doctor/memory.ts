import type { V1ContainerStatus } from '@kubernetes/client-node'
import type { Instance } from '../../../crds/instance.ts'
import { standingOf } from '../../../kube/instance-standing.ts'
import { containers } from '../../../kube/names.ts'
import type { Pod } from '../../../kube/resources.ts'
import type { Finding } from './finding.ts'

/** A container whose process the kernel killed for want of memory. */
interface Killed {
  container: string
  limit: string | undefined
  at: string | undefined
}

const outOfMemory = 'OOMKilled'

const killedIn = ({ spec, status }: Pod): Killed[] =>
  [...(status?.initContainerStatuses ?? []), ...(status?.containerStatuses ?? [])].flatMap(
    ({ name, state, lastState }: V1ContainerStatus) => {
      const ended = [state?.terminated, lastState?.terminated].find((each) => each?.reason === outOfMemory)
      if (!ended) return []
      const container = [...(spec?.initContainers ?? []), ...(spec?.containers ?? [])].find(
        (each) => each.name === name,
      )
      const at = ended.finishedAt === undefined ? undefined : String(ended.finishedAt)
      return [{ container: name, limit: container?.resources?.limits?.memory, at }]
    },
  )

/** What an Instance alone tells: of its own container, and not any more once another pod of it runs. */
const killedBefore = (instance: Instance): Killed[] => {
  const { spec, status } = instance
  const { reason, finishTime } = status.lastTermination ?? {}
  const isOver = standingOf(instance).kind === 'running' && !status.restarts
  if (reason !== outOfMemory || isOver) return []
  const at = finishTime === undefined ? undefined : String(finishTime)
  return [{ container: containers.main, limit: spec.resources?.limits?.memory, at }]
}

/** @param pod of the instance, where there is one and it was looked at */
export const memoryFindings = (instance: Instance, pod?: Pod): Finding[] => {
  const { name, namespace } = instance.metadata
  const killed = pod ? killedIn(pod) : []
  const isRunning = standingOf(instance).kind === 'running'
  return (killed.length > 0 ? killed : killedBefore(instance)).map(({ container, limit, at }) => ({
    subject: `instance/${name}`,
    level: isRunning ? 'note' : 'wrong',
    what: `${outOfMemory}: container ${container} was ended${at === undefined ? '' : ` at ${at}`}, for ${limit === undefined ? 'its node had no more memory (it has no limit of its own)' : `it wanted more memory than its limit, ${limit}`}`,
    next:
      container === containers.main
        ? `raise spec.resources.limits.memory: kubectl -n ${namespace} edit instance ${name}`
        : `raise the limit of ${container} in spec.podTemplate: kubectl -n ${namespace} edit instance ${name}`,
  }))
}
