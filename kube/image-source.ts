import { createHash } from 'node:crypto'

/**
 * Where an image comes from can be told from its resolved reference, always
 * `…@sha256:…`: a registry's has no scheme.
 */

const schemes = ['https', 'oras', 'volume'] as const
export type ImageSource = 'registry' | (typeof schemes)[number]

export const imageSourceOf = (reference: string): ImageSource =>
  schemes.find((scheme) => reference.startsWith(`${scheme}://`)) ?? 'registry'

/** An image that lies on a claim of the instance's namespace. */
export interface VolumeImage {
  claimName: string
  /** Relative to the volume; '' for the volume itself. */
  path: string
}

/** Stands for the place, not for what is there: another claim of the same name has another. */
export const volumeDigest = (namespace: string, claimUID: string, path: string): string =>
  `sha256:${createHash('sha256').update(`${namespace}/${claimUID}/${path}`).digest('hex')}`

export const formatVolumeReference = ({ claimName, path }: VolumeImage, digest: string): string =>
  `volume://${claimName}/${path}@${digest}`

/**
 * Of a file from a web server, without the query of its URL: that may be a
 * signature, by which everybody can read the file for a while, and references are
 * shown in many places. The digest says which file it is.
 */
export const formatFileReference = (url: string, digest: string): string => `${url.replace(/[?#].*$/s, '')}@${digest}`

/** Undefined for a reference of another source. */
export const parseVolumeReference = (reference: string): VolumeImage | undefined => {
  const [, claimName, path] = /^volume:\/\/([^/]+)\/(.*)@[^@]*$/s.exec(reference) ?? []
  return claimName === undefined || path === undefined ? undefined : { claimName, path }
}
