import { setTimeout as sleep } from 'node:timers/promises'
import type { Instance } from '../../../crds/instance.ts'
import { hasReason, listAll } from '../../../kube/client.ts'
import { instances } from '../../../kube/resources.ts'
import { ageOf } from '../../shared/age.ts'
import { formatTable } from '../../shared/table.ts'
import { conditionOf } from '../conditions.ts'
import type { CommandContext } from '../context.ts'
import { byName, type Columns, cellsOf, headerOf, type ListOptions, printList } from '../listing.ts'
import { forPeople, serialise } from '../output.ts'
import { stateWord } from '../run/standing.ts'

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

const watchSeconds = 300
const pauseMs = 1_000

/** Prints each object as it is, and as it changes, until Ctrl-C: a line each, as kubectl does. */
const watch = async ({ connect, print, interrupts }: CommandContext, options: ListOptions): Promise<void> => {
  const { client, namespace } = await connect()
  const { signal } = interrupts
  const columns = instanceColumns(() => new Date())
  const which = { namespace: options.allNamespaces ? undefined : namespace, labelSelector: options.selector }
  const { output } = options
  let widths: string[][] = []
  const printLine = (instance: Instance): void => {
    // The columns stay where they are as long as they hold what comes.
    widths = [...widths, cellsOf(columns, instance, options)]
    const lines = formatTable(headerOf(columns, options), widths).trimEnd().split('\n')
    print(`${lines.at(-1)}\n`)
  }
  const show = async (items: unknown[], isFirst: boolean): Promise<void> => {
    if (output === 'json' || output === 'yaml') {
      for (const item of items) print(await serialise(forPeople(item), output))
      return
    }
    const objects = byName(items.map((item) => instances.parse(item)))
    if (!isFirst) return objects.forEach(printLine)
    widths = objects.map((each) => cellsOf(columns, each, options))
    print(formatTable(headerOf(columns, options), widths))
  }
  for (let isFirst = true; ; isFirst = false) {
    const { items, resourceVersion } = await listAll(client, instances, which)
    await show(items, isFirst)
    try {
      const asked = { ...which, resourceVersion, timeoutSeconds: watchSeconds }
      for await (const { type, object } of client.watch(instances, asked, signal))
        if (type !== 'BOOKMARK') await show([object], false)
    } catch (error) {
      signal.throwIfAborted()
      if (!hasReason(error, 'Expired', 'Gone')) await sleep(pauseMs)
    }
  }
}

export const ps = async (context: CommandContext, options: ListOptions & { watch?: boolean }): Promise<void> =>
  options.watch
    ? watch(context, options)
    : printList(
        context,
        instances,
        instanceColumns(() => new Date()),
        options,
      )
