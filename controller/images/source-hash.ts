import type { ContainerImage } from '../../crds/container-image.ts'
import { formatFileReference } from '../../kube/image-source.ts'
import { shortHash } from '../short-hash.ts'

type Spec = ContainerImage['spec']

/** `sha256:…` of a file, as digests are written. */
export const digestOfFile = (sha256: string): string => `sha256:${sha256.toLowerCase()}`

/**
 * What of the spec says which image it is. Pull secrets do not, nor does the
 * query of a file's URL: a signature is renewed.
 */
const identityOf = ({ source: { registry, file, volume }, platform }: Spec) => ({
  registry: registry?.image,
  file: file && {
    reference: formatFileReference(file.url, file.sha256 === undefined ? '' : digestOfFile(file.sha256)),
  },
  volume: volume && { claimName: volume.claimName, path: volume.path },
  platform: platform && [platform.os, platform.architecture, platform.variant],
})

/** The same as long as the spec names the same image, whatever else changes in it. */
export const sourceHashOf = (spec: Spec): string => shortHash(identityOf(spec))
