import type { ContainerImage } from '../../../crds/container-image.ts'
import type { KubeClient } from '../../../kube/client.ts'
import { formatFileReference, imageSourceOf } from '../../../kube/image-source.ts'
import { instanceOwnerOf } from '../../../kube/owner.ts'
import { containerImages, instances, type Pod } from '../../../kube/resources.ts'

interface ImageName {
  reference: string
  digest: string
}

/**
 * Where the file of an image from a web server is now: its reference leaves out
 * the query of the URL, which may be a signature. Undefined when the image has
 * come to be another file since, which is then looked for where its reference says.
 */
export const urlOf = ({ spec }: ContainerImage, { reference, digest }: ImageName): string | undefined => {
  const url = spec.source.file?.url
  return url !== undefined && formatFileReference(url, digest) === reference ? url : undefined
}

/** The same for the pod of an instance, read live: signatures are renewed. */
export const readUrl = async (
  client: Pick<KubeClient, 'get'>,
  pod: Pod,
  image: ImageName,
): Promise<string | undefined> => {
  const owner = imageSourceOf(image.reference) === 'https' ? instanceOwnerOf(pod) : undefined
  const { namespace } = pod.metadata
  const instance = owner && (await client.get(instances, { namespace, name: owner.name }))
  const found = instance && (await client.get(containerImages, { namespace, name: instance.spec.imageRef.name }))
  return found && urlOf(found, image)
}
