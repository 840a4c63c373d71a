import * as z from 'zod'
import { imageSourceOf } from './image-source.ts'

/**
 * What an administrator lets namespaces bring to the nodes' kernels beside
 * images of registries and overlays that Lamina made. Controller and agents
 * have it from the chart's value `allowedSources`.
 */

const namespaces = z.array(z.string().min(1))

const allowedSourcesSchema = z.strictObject({
  /** Images from URLs. */
  file: namespaces.default(['*']),
  /** Images on volumes. */
  volume: namespaces.default(['*']),
  /** Overlays on claims that Lamina did not make. */
  existingClaim: namespaces.default([]),
  /** Container images that are ext3 file systems. */
  ext3Base: namespaces.default([]),
})
/** Namespaces by kind of source; `*` stands for all. */
export type AllowedSources = z.infer<typeof allowedSourcesSchema>
export type SourceKind = keyof AllowedSources

/** The environment variable ALLOWED_SOURCES: JSON. */
export const allowedSourcesField = z
  .string()
  .default('{}')
  .transform((text): unknown => JSON.parse(text))
  .pipe(allowedSourcesSchema)

export const isAllowed = (allowed: AllowedSources, kind: SourceKind, namespace: string): boolean =>
  allowed[kind].includes('*') || allowed[kind].includes(namespace)

/** The reason that goes with {@link notAllowed}. */
export const notAllowedReason = 'SourceNotAllowed'

const names: Record<SourceKind, string> = {
  file: 'images from URLs',
  volume: 'images on volumes',
  existingClaim: 'overlays on existing claims',
  ext3Base: 'container images that are ext3 file systems',
}

export const notAllowed = (kind: SourceKind, namespace: string): string =>
  `${names[kind]} are not allowed in namespace ${namespace}: an administrator allows them by the value allowedSources.${kind} of Lamina's chart`

/** What must be allowed for an image of this reference; undefined for one of a registry. */
export const sourceKindOf = (reference: string): SourceKind | undefined => {
  const source = imageSourceOf(reference)
  if (source === 'registry') return undefined
  return source === 'volume' ? 'volume' : 'file'
}
