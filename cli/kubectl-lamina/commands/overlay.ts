import type { PersistentOverlay } from '../../../crds/persistent-overlay.ts'
import { formatBytes, formatShare } from '../../../kube/bytes.ts'
import { hasReason } from '../../../kube/client.ts'
import { conditionOf } from '../../../kube/conditions.ts'
import { persistentOverlays } from '../../../kube/resources.ts'
import { ageOf } from '../../shared/age.ts'
import { CliError } from '../../shared/cli-error.ts'
import { oneLine } from '../../shared/printable.ts'
import { formatTable } from '../../shared/table.ts'
import type { Connection } from '../connection.ts'
import type { CommandContext } from '../context.ts'
import { byName, type Columns, type ListOptions, printList } from '../listing.ts'
import { type OutputFormat, serialise } from '../output.ts'
import { createOverlay } from '../run/make.ts'
import { checkAdvice } from './overlay-check.ts'

const mostNamed = 3

/** Of many readers the first few, and how many more. */
export const holdersOf = ({ status: { attachments = [] } }: PersistentOverlay): string => {
  const names = attachments.map(({ instanceName, access }) =>
    access === 'ReadOnly' ? `${instanceName}:ro` : instanceName,
  )
  const more = names.length - mostNamed
  return [...names.slice(0, mostNamed), ...(more > 0 ? [`+${more}`] : [])].join(',') || '-'
}

const overlayColumns = (now: () => Date): Columns<PersistentOverlay> => ({
  header: ['NAME', 'SIZE', 'USED', 'STATE', 'HEALTHY', 'HOLDER', 'AGE'],
  wide: ['CLAIM', 'BASE', 'CHECKED', 'MESSAGE'],
  row: (overlay) => {
    const { metadata, spec, status } = overlay
    return [
      metadata.name,
      status.size ?? spec.size,
      status.usage ? formatShare(status.usage.usedBytes, status.usage.capacityBytes) : '-',
      conditionOf(status.conditions, 'Ready')?.reason ?? 'Pending',
      conditionOf(status.conditions, 'Healthy')?.status ?? '-',
      holdersOf(overlay),
      ageOf(metadata.creationTimestamp, now()),
    ]
  },
  wideRow: ({ status }) => [
    status.claim?.name ?? '-',
    status.base?.reference ?? '-',
    status.lastCheckTime ?? '-',
    conditionOf(status.conditions, 'Ready')?.message || '-',
  ],
})

export const ls = (context: CommandContext, options: ListOptions): Promise<void> =>
  printList(
    context,
    persistentOverlays,
    overlayColumns(() => new Date()),
    options,
  )

interface CreateOptions {
  size: string
  storageClass?: string
  accessMode?: string
  block?: boolean
  format?: string
  sparse?: boolean
  reclaim?: string
}

const specOf = ({ size, storageClass, accessMode, block, format, sparse, reclaim }: CreateOptions) => {
  const storage = {
    ...(storageClass === undefined ? {} : { storageClassName: storageClass }),
    ...(accessMode === undefined ? {} : { accessMode }),
    ...(block ? { volumeMode: 'Block' } : {}),
  }
  return {
    size,
    ...(Object.keys(storage).length > 0 ? { storage } : {}),
    ...(format === undefined ? {} : { format }),
    ...(sparse ? { ext3: { allocation: 'Sparse' } } : {}),
    ...(reclaim === undefined ? {} : { reclaimPolicy: reclaim }),
  }
}

export const create = async (
  { connect, print }: CommandContext,
  name: string,
  options: CreateOptions,
): Promise<void> => {
  const connection = await connect()
  try {
    await createOverlay(connection, name, specOf(options))
  } catch (error) {
    if (!hasReason(error, 'AlreadyExists')) throw error
    throw new CliError(
      `there is an overlay "${name}" in namespace ${connection.namespace} already: use it, give another name, or make it larger by "kubectl lamina overlay resize"`,
    )
  }
  print(`overlay ${name} created; its volume is made when the first instance starts with it, or before\n`)
}

export const existing = async ({ client, namespace }: Connection, name: string): Promise<PersistentOverlay> => {
  const overlay = await client.get(persistentOverlays, { namespace, name })
  if (overlay) return overlay
  throw new CliError(
    `there is no overlay "${name}" in namespace ${namespace}: "kubectl lamina overlay ls" lists them, "overlay create" makes one`,
  )
}

const fullness = ({ metadata, status: { usage } }: PersistentOverlay, now: Date): string[] =>
  usage
    ? [
        metadata.name,
        formatBytes(usage.usedBytes),
        formatBytes(usage.capacityBytes),
        formatShare(usage.usedBytes, usage.capacityBytes),
        String(usage.usedInodes),
        formatShare(usage.usedInodes, usage.capacityInodes),
        `${ageOf(usage.observedTime, now)} ago`,
      ]
    : [metadata.name, '-', '-', '-', '-', '-', 'never']

export const du = async (
  { connect, print, status }: CommandContext,
  names: readonly string[],
  { output }: { output?: OutputFormat },
): Promise<void> => {
  const connection = await connect()
  const { client, namespace } = connection
  const overlays =
    names.length === 0
      ? byName(await client.list(persistentOverlays, { namespace }))
      : await Promise.all(names.map((name) => existing(connection, name)))
  if (output === 'json' || output === 'yaml') {
    const usages = overlays.map(({ metadata, status: { usage } }) => ({ name: metadata.name, ...usage }))
    return print(await serialise(usages, output))
  }
  if (overlays.length === 0) return status.say(`No overlays found in namespace ${namespace}.`)
  const header = ['NAME', 'USED', 'SIZE', 'USE%', 'INODES', 'INODES%', 'SEEN']
  print(
    formatTable(
      header,
      overlays.map((overlay) => fullness(overlay, new Date())),
    ),
  )
}

/** The exit code says it too: 0 whole, 1 not, or not known. */
export const check = async ({ connect, print }: CommandContext, name: string): Promise<number> => {
  const overlay = await existing(await connect(), name)
  const { isWhole, lines } = checkAdvice(overlay)
  print(lines.map((line) => `${oneLine(line)}\n`).join(''))
  return isWhole ? 0 : 1
}
