import type { Condition } from '../../../crds/common.ts'
import type { ContainerImage } from '../../../crds/container-image.ts'
import { formatBytes } from '../../../kube/bytes.ts'
import { hasReason } from '../../../kube/client.ts'
import { conditionOf } from '../../../kube/conditions.ts'
import { containerImages } from '../../../kube/resources.ts'
import { ageOf } from '../../shared/age.ts'
import { CliError } from '../../shared/cli-error.ts'
import { oneLine } from '../../shared/printable.ts'
import type { CommandContext } from '../context.ts'
import { adviceFor } from '../doctor/advice.ts'
import { followUntil } from '../follow.ts'
import { type Columns, type ListOptions, printList } from '../listing.ts'
import { differenceOf, otherSum } from '../run/find.ts'
import { createImage } from '../run/make.ts'
import { menderOf } from '../run/menders.ts'
import { imageNameOf } from '../run/names.ts'
import { createPatience } from '../run/patience.ts'
import { discardUnresolved, waitUntilResolved } from '../run/resolve.ts'
import { type ImageSource, sourceOf } from '../run/target.ts'

const originOf = ({ registry, file, volume }: ContainerImage['spec']['source']): string =>
  registry?.image ?? file?.url.replace(/[?#].*$/s, '') ?? (volume ? `volume ${volume.claimName}/${volume.path}` : '-')

const prefetchWords = ({ prefetch }: ContainerImage['status']): string =>
  prefetch ? `${prefetch.readyNodes}/${prefetch.desiredNodes}` : '-'

const imageColumns = (now: () => Date): Columns<ContainerImage> => ({
  header: ['NAME', 'SOURCE', 'STATE', 'SIZE', 'AGE'],
  wide: ['DIGEST', 'PREFETCHED', 'MESSAGE'],
  row: ({ metadata, spec, status }) => [
    metadata.name,
    originOf(spec.source),
    conditionOf(status.conditions, 'Ready')?.reason ?? 'Pending',
    status.resolved?.sizeBytes ? formatBytes(status.resolved.sizeBytes) : '-',
    ageOf(metadata.creationTimestamp, now()),
  ],
  wideRow: ({ status }) => [
    status.resolved?.digest ?? '-',
    prefetchWords(status),
    conditionOf(status.conditions, 'Ready')?.message || '-',
  ],
})

export const ls = (context: CommandContext, options: ListOptions): Promise<void> =>
  printList(
    context,
    containerImages,
    imageColumns(() => new Date()),
    options,
  )

/** @throws CliError when the image of that name is not the one that is wanted */
const assertSame = (image: ContainerImage | undefined, name: string, source: ImageSource): void => {
  const difference: ReturnType<typeof differenceOf> = image ? differenceOf(source, image) : { kind: 'origin' }
  if (!difference) return
  if (difference.kind === 'sum') throw otherSum(name, difference)
  const origin = image ? originOf(image.spec.source) : 'another'
  throw new CliError(`there is an image "${name}" already, of ${origin}: give another --name`)
}

interface AddOptions {
  name?: string
  pullSecret?: string[]
  sha256?: string
  refresh?: number
  prefetch?: boolean
  wait: boolean
}

export const add = async (context: CommandContext, reference: string, options: AddOptions): Promise<void> => {
  const source = sourceOf(reference, options.sha256)
  const connection = await context.connect()
  const name = options.name ?? imageNameOf(source)
  const asked = { pullSecrets: options.pullSecret, refreshSeconds: options.refresh, prefetch: options.prefetch }
  let isNew = true
  try {
    await createImage(connection, name, source, asked)
    context.status.say(`image ${name} created`)
  } catch (error) {
    if (!hasReason(error, 'AlreadyExists')) throw error
    const image = await connection.client.get(containerImages, { namespace: connection.namespace, name })
    assertSame(image, name, source)
    isNew = false
    context.status.say(`image ${name} is there already, and stays as it is`)
  }
  if (!options.wait) return
  const image = await waitUntilResolved(connection, context, name).catch(async (error: unknown) => {
    // Who stops waiting by Ctrl-C keeps it.
    if (isNew && !context.interrupts.signal.aborted) await discardUnresolved(connection, context, name)
    throw error
  })
  context.print(`${name}: ${image.status.resolved?.reference}\n`)
}

interface PrefetchOptions {
  nodes?: Record<string, string>
  off?: boolean
  wait: boolean
}

export const prefetch = async (
  { connect, print, status, interrupts }: CommandContext,
  name: string,
  { nodes = {}, off = false, wait }: PrefetchOptions,
  patience = createPatience(),
): Promise<void> => {
  const { client, namespace } = await connect()
  const patch = { spec: { prefetch: off ? null : { nodeSelector: nodes } } }
  const patched = await client.mergePatch(containerImages, { namespace, name }, patch)
  if (!patched)
    throw new CliError(`there is no image "${name}" in namespace ${namespace}: kubectl lamina image add makes one`)
  if (off) return status.say(`image ${name} is not prefetched any more`)
  if (!wait) return
  const kept = (image: ContainerImage, { reason, message }: Condition): CliError =>
    new CliError(
      `image ${name} is not prefetched: ${message}\n→ ${adviceFor(reason, { ...image.metadata, image: name })}`,
    )
  const judge = (image: ContainerImage | undefined): string | undefined => {
    if (!image) throw new CliError('somebody has deleted the image meanwhile')
    if ((image.status.observedGeneration ?? -1) < patched.metadata.generation) return undefined
    const told = conditionOf(image.status.conditions, 'Prefetched')
    if (told?.status === 'True') return told.message
    if (!told) return undefined
    if (told.reason === 'NoNode' || told.reason === 'NotResolved')
      throw new CliError(`image ${name} is not prefetched: ${told.message}`)
    const mender = menderOf(told.reason)
    const isOurs = mender === 'person' || mender === 'typist'
    if (isOurs) patience.wear(kept(image, told))
    else patience.rest()
    status.show(`image ${name}: ${told.message}`, { isNews: true, isReason: isOurs })
    return undefined
  }
  const signal = AbortSignal.any([interrupts.signal, patience.signal])
  const message = await followUntil(client, containerImages, { namespace, name }, { signal, judge }).finally(
    patience.rest,
  )
  print(`${name}: ${oneLine(message)}\n`)
}
