import type { ContainerImage } from '../../../crds/container-image.ts'
import type { Instance } from '../../../crds/instance.ts'
import { containerImages, instances } from '../../../kube/resources.ts'
import { formatReference, parseReference } from '../../../runtime-shim/image/reference.ts'
import { CliError } from '../../shared/cli-error.ts'
import type { Connection } from '../connection.ts'
import { imageNameOf } from './names.ts'
import type { ImageSource, Target } from './target.ts'

/** What a target turned out to be. */
export type Found =
  | { kind: 'instance'; instance: Instance }
  | { kind: 'image'; name: string }
  /** There is none yet. */
  | { kind: 'source'; name: string; source: ImageSource }

const canonical = (image: string): string => {
  const reference = parseReference(image)
  return reference ? formatReference(reference) : image
}

/** Whether an image is of that source, however it is written. */
const isOf = (source: ImageSource, { spec: { source: its } }: ContainerImage): boolean =>
  source.kind === 'registry'
    ? its.registry !== undefined && canonical(its.registry.image) === canonical(source.image)
    : its.file?.url === source.url

/** The image of a source, or the name that a new one gets. */
export const imageFor = (
  source: ImageSource,
  images: readonly ContainerImage[],
): Exclude<Found, { kind: 'instance' }> => {
  const same = images.find((image) => isOf(source, image) && !image.metadata.deletionTimestamp)
  if (same) return { kind: 'image', name: same.metadata.name }
  const name = imageNameOf(source)
  if (!images.some(({ metadata }) => metadata.name === name)) return { kind: 'source', name, source }
  throw new CliError(
    `there is an image "${name}" already, of another source: make one under another name (kubectl lamina image add … --name NAME), and run that`,
  )
}

/** @throws CliError when there is nothing of the name, and nothing can be made of it */
export const find = async (
  { client, namespace }: Pick<Connection, 'client' | 'namespace'>,
  { instance: instanceName, image: imageName, source }: Target,
): Promise<Found> => {
  if (instanceName !== undefined) {
    const instance = await client.get(instances, { namespace, name: instanceName })
    if (instance) return { kind: 'instance', instance }
    if (imageName === undefined)
      throw new CliError(
        `there is no instance "${instanceName}" in namespace ${namespace}: kubectl lamina ps lists them`,
      )
  }
  if (imageName !== undefined) {
    const image = await client.get(containerImages, { namespace, name: imageName })
    if (image) return { kind: 'image', name: imageName }
    if (source === undefined)
      throw new CliError(
        `there is no image "${imageName}" in namespace ${namespace}: kubectl lamina image ls lists them`,
      )
  }
  if (source === undefined) throw new CliError('nothing was named')
  return imageFor(source, await client.list(containerImages, { namespace }))
}

/** The Instance, or an error that says what there is instead. */
export const existingInstance = async (
  { client, namespace }: Pick<Connection, 'client' | 'namespace'>,
  name: string,
): Promise<Instance> => {
  const instance = await client.get(instances, { namespace, name })
  if (instance) return instance
  const others = (await client.list(instances, { namespace })).map(({ metadata }) => metadata.name)
  const there = others.length === 0 ? 'there is none' : `there are: ${others.slice(0, 10).join(', ')}`
  throw new CliError(`there is no instance "${name}" in namespace ${namespace}; ${there}`)
}
