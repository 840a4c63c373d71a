import type { Instance } from '../../../crds/instance.ts'
import { hasReason } from '../../../kube/client.ts'
import { conditionOf } from '../../../kube/conditions.ts'
import { containers } from '../../../kube/names.ts'
import { type Pod, pods } from '../../../kube/resources.ts'
import { CliError } from '../../shared/cli-error.ts'
import type { CommandContext } from '../context.ts'
import { getRaw, logPath } from '../raw.ts'
import { existingInstance } from '../run/find.ts'

export interface LogOptions {
  follow?: boolean
  tail?: number
  since?: number
  previous?: boolean
  timestamps?: boolean
  container: string
}

const containersOf = ({ spec }: Pod): string[] =>
  [...(spec?.initContainers ?? []), ...(spec?.containers ?? [])].map(({ name }) => name)

const withoutContainer = (pod: Pod, container: string): CliError => {
  const names = containersOf(pod)
  const why = container === containers.prepare ? ': there was nothing to prepare' : ''
  return new CliError(
    `the pod of instance ${pod.metadata.name} has no container ${container}${why}; it has: ${names.join(', ')}`,
  )
}

const withoutLog = (instance: Instance, container: string): CliError => {
  const { name } = instance.metadata
  const ready = conditionOf(instance.status.conditions, 'Ready')
  const why = ready ? `${ready.reason}${ready.message ? `: ${ready.message}` : ''}` : 'nobody has looked at it yet'
  const next = container === 'main' ? `; kubectl lamina doctor instance/${name} says more` : ''
  return new CliError(`instance ${name} has no log of its container ${container} now: ${why}${next}`)
}

export const logs = async (context: CommandContext, name: string, options: LogOptions): Promise<void> => {
  const connection = await context.connect()
  const { client, namespace } = connection
  const instance = await existingInstance(connection, name)
  const pod = await client.get(pods, { namespace, name })
  if (!pod) throw withoutLog(instance, options.container)
  if (!containersOf(pod).includes(options.container)) throw withoutContainer(pod, options.container)
  const path = logPath(
    { namespace, name },
    {
      container: options.container,
      follow: options.follow,
      tailLines: options.tail,
      sinceSeconds: options.since,
      previous: options.previous,
      timestamps: options.timestamps,
    },
  )
  const body = await getRaw(connection, path, context.interrupts.signal).catch((error: unknown) => {
    if (hasReason(error, 'BadRequest') && !options.previous) throw withoutLog(instance, options.container)
    throw error
  })
  await context.copy(body)
}
