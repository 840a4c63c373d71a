import { setTimeout as sleep } from 'node:timers/promises'
import * as z from 'zod'
import type { Instance } from '../../../crds/instance.ts'
import type { PersistentOverlay } from '../../../crds/persistent-overlay.ts'
import { formatBytes, formatShare } from '../../../kube/bytes.ts'
import { stateWord } from '../../../kube/instance-standing.ts'
import { parseQuantity } from '../../../kube/quantity.ts'
import { objectMetadataSchema, type Resource } from '../../../kube/resource.ts'
import { instances, persistentOverlays } from '../../../kube/resources.ts'
import { ageOf } from '../../shared/age.ts'
import { CliError } from '../../shared/cli-error.ts'
import { formatTable } from '../../shared/table.ts'
import type { Connection } from '../connection.ts'
import type { CommandContext } from '../context.ts'
import { byName } from '../listing.ts'
import { type OutputFormat, serialise } from '../output.ts'
import { coresOf } from './cores.ts'

const podMetricsSchema = z.object({
  metadata: objectMetadataSchema,
  containers: z.array(z.object({ name: z.string(), usage: z.object({ cpu: z.string(), memory: z.string() }) })),
})
type PodMetrics = z.infer<typeof podMetricsSchema>

const podMetrics: Resource<PodMetrics> = {
  group: 'metrics.k8s.io',
  version: 'v1beta1',
  plural: 'pods',
  kind: 'PodMetrics',
  namespaced: true,
  parse: (json) => podMetricsSchema.parse(json),
}

/** What one instance uses. */
interface Usage {
  name: string
  state: string
  /** Cores; undefined where nobody measures. */
  cpu?: number | undefined
  memoryBytes?: number | undefined
  /** Of the overlay that it writes. */
  overlay?: { name: string } & Partial<NonNullable<PersistentOverlay['status']['usage']>>
}

export const usageOf = (
  instance: Instance,
  overlays: readonly PersistentOverlay[],
  metrics: readonly PodMetrics[],
): Usage => {
  const { name } = instance.metadata
  const written = instance.spec.overlays.find(({ access }) => access === 'ReadWrite')?.name
  const overlay = overlays.find(({ metadata }) => metadata.name === written)
  const measured = metrics.find(({ metadata }) => metadata.name === name)?.containers
  return {
    name,
    state: stateWord(instance),
    ...(measured
      ? {
          cpu: measured.reduce((sum, { usage }) => sum + coresOf(usage.cpu), 0),
          memoryBytes: measured.reduce((sum, { usage }) => sum + parseQuantity(usage.memory), 0),
        }
      : {}),
    ...(written === undefined ? {} : { overlay: { name: written, ...overlay?.status.usage } }),
  }
}

const header = ['NAME', 'STATE', 'CPU', 'MEMORY', 'OVERLAY', 'USED', 'SIZE', 'USE%', 'INODES%', 'SEEN']

const cells = ({ name, state, cpu, memoryBytes, overlay }: Usage, now: Date): string[] => [
  name,
  state,
  cpu === undefined ? '-' : `${Math.round(cpu * 1000)}m`,
  memoryBytes === undefined ? '-' : formatBytes(memoryBytes),
  overlay?.name ?? '-',
  ...(overlay?.usedBytes === undefined || overlay.capacityBytes === undefined
    ? ['-', '-', '-', '-', '-']
    : [
        formatBytes(overlay.usedBytes),
        formatBytes(overlay.capacityBytes),
        formatShare(overlay.usedBytes, overlay.capacityBytes),
        formatShare(overlay.usedInodes ?? 0, overlay.capacityInodes ?? 0),
        `${ageOf(overlay.observedTime, now)} ago`,
      ]),
]

const look = async ({ client, namespace }: Connection, names: readonly string[]) => {
  const [all, overlays, metrics] = await Promise.all([
    client.list(instances, { namespace }),
    client.list(persistentOverlays, { namespace }),
    client.list(podMetrics, { namespace }).catch(() => undefined),
  ])
  const missing = names.filter((name) => !all.some(({ metadata }) => metadata.name === name))
  if (missing.length > 0) throw new CliError(`there is no instance ${missing.join(', ')} in namespace ${namespace}`)
  const wanted = names.length === 0 ? all : all.filter(({ metadata }) => names.includes(metadata.name))
  return {
    usages: byName(wanted).map((each) => usageOf(each, overlays, metrics ?? [])),
    isMeasured: metrics !== undefined,
  }
}

const everyMs = 10_000

export const stats = async (
  { connect, print, status, interrupts: { signal } }: CommandContext,
  names: readonly string[],
  { output, watch }: { output?: OutputFormat; watch?: boolean },
): Promise<void> => {
  const connection = await connect()
  let hasTold = false
  for (;;) {
    const { usages, isMeasured } = await look(connection, names)
    if (!isMeasured && !hasTold)
      status.say(
        'CPU and memory are not known: the cluster has no metrics API (metrics-server), or you may not read it',
      )
    hasTold = true
    if (output === 'json' || output === 'yaml') print(await serialise(usages, output))
    else if (usages.length === 0) status.say(`No instances found in namespace ${connection.namespace}.`)
    else
      print(
        formatTable(
          header,
          usages.map((usage) => cells(usage, new Date())),
        ),
      )
    if (!watch) return
    await sleep(everyMs, undefined, { signal }).catch(() => signal.throwIfAborted())
  }
}
