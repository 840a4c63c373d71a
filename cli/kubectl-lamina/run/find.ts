import type { ContainerImage } from '../../../crds/container-image.ts'
import type { Instance } from '../../../crds/instance.ts'
import type { KubeObject } from '../../../kube/resource.ts'
import { containerImages, instances } from '../../../kube/resources.ts'
import { formatReference, parseReference } from '../../../runtime-shim/image/reference.ts'
import { CliError } from '../../shared/cli-error.ts'
import { didYouMean, similarTo } from '../../shared/similar.ts'
import type { Connection } from '../connection.ts'
import { imageNameOf } from './names.ts'
import type { ImageSource, Target } from './target.ts'

/** What a target turned out to be. */
export type Found =
  | { kind: 'instance'; instance: Instance }
  | { kind: 'image'; name: string }
  /** There is none yet; `similar` are names that are there, where it may be a name that was mistyped. */
  | { kind: 'source'; name: string; source: ImageSource; similar: readonly string[] }

const canonical = (image: string): string => {
  const reference = parseReference(image)
  return reference ? formatReference(reference) : image
}

/** What keeps an image from being of a source. */
type Difference =
  | { kind: 'origin' }
  /** It is the same file, and may have other content. */
  | { kind: 'sum'; url: string; its: string; asked: string }

/** Undefined for an image of that source, however both are written. */
export const differenceOf = (
  source: ImageSource,
  { spec: { source: its } }: ContainerImage,
): Difference | undefined => {
  if (source.kind === 'registry') {
    const isSame = its.registry !== undefined && canonical(its.registry.image) === canonical(source.image)
    return isSame ? undefined : { kind: 'origin' }
  }
  const { url, sha256: asked } = source
  if (its.file?.url !== url) return { kind: 'origin' }
  const sum = its.file.sha256
  const isSame = asked === undefined || sum?.toLowerCase() === asked.toLowerCase()
  return isSame ? undefined : { kind: 'sum', url, its: sum ?? 'that nobody gave', asked }
}

export const otherSum = (name: string, { url, its, asked }: Extract<Difference, { kind: 'sum' }>): CliError =>
  new CliError(
    `image "${name}" is of ${url} with the sum ${its}; you ask for ${asked}. Has the file changed? Then make an image of it as it is now: kubectl lamina image add … --name NAME, and use that`,
  )

/**
 * The image of a source, or the name that a new one gets.
 *
 * @throws CliError when there is only the same file with another sum, or the name is another's
 */
export const imageFor = (
  source: ImageSource,
  images: readonly ContainerImage[],
): Exclude<Found, { kind: 'instance' }> => {
  const usable = images.filter(({ metadata }) => !metadata.deletionTimestamp)
  const same = usable.find((image) => differenceOf(source, image) === undefined)
  if (same) return { kind: 'image', name: same.metadata.name }
  for (const image of usable) {
    const difference = differenceOf(source, image)
    if (difference?.kind === 'sum') throw otherSum(image.metadata.name, difference)
  }
  const name = imageNameOf(source)
  if (!images.some(({ metadata }) => metadata.name === name)) return { kind: 'source', name, source, similar: [] }
  throw new CliError(
    `there is an image "${name}" already, of another source: make one under another name (kubectl lamina image add … --name NAME), and run that`,
  )
}

const namesOf = (objects: readonly KubeObject[]): string[] => objects.map(({ metadata }) => metadata.name)

/** @throws CliError when there is nothing of the name, and nothing can be made of it */
export const find = async (
  { client, namespace }: Pick<Connection, 'client' | 'namespace'>,
  { instance: instanceName, image: imageName, source }: Target,
): Promise<Found> => {
  const nothing = (kind: string, name: string, list: string, there: readonly KubeObject[]): CliError =>
    new CliError(
      `there is no ${kind} "${name}" in namespace ${namespace}: kubectl lamina ${list} lists them${didYouMean(similarTo(name, namesOf(there)))}`,
    )
  if (instanceName !== undefined) {
    const instance = await client.get(instances, { namespace, name: instanceName })
    if (instance) return { kind: 'instance', instance }
    if (imageName === undefined)
      throw nothing('instance', instanceName, 'ps', await client.list(instances, { namespace }))
  }
  const images = await client.list(containerImages, { namespace })
  if (imageName !== undefined) {
    if (images.some(({ metadata }) => metadata.name === imageName)) return { kind: 'image', name: imageName }
    if (source === undefined) throw nothing('image', imageName, 'image ls', images)
  }
  if (source === undefined) throw new CliError('nothing was named')
  const found = imageFor(source, images)
  const name = instanceName ?? imageName
  if (found.kind === 'image' || name === undefined) return found
  const names = namesOf([...images, ...(await client.list(instances, { namespace }))])
  return { ...found, similar: similarTo(name, names) }
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
  const meant = didYouMean(similarTo(name, others))
  throw new CliError(`there is no instance "${name}" in namespace ${namespace}; ${there}${meant}`)
}
