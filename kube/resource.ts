import * as z from 'zod'

/** What every kind of Kubernetes object has in common, and how a kind is found in the API. */

const ownerReferenceSchema = z.object({
  apiVersion: z.string(),
  kind: z.string(),
  name: z.string(),
  uid: z.string(),
  controller: z.boolean().optional(),
})
export type OwnerReference = z.infer<typeof ownerReferenceSchema>

/** `metadata` as the API server hands it out, with nothing left undefined that can be empty. */
export interface Metadata {
  name: string
  /** '' for objects of the cluster. */
  namespace: string
  uid: string
  resourceVersion: string
  generation: number
  labels: Record<string, string>
  annotations: Record<string, string>
  /** RFC 3339. */
  creationTimestamp?: string | undefined
  /** RFC 3339; there while the object waits for its finalizers. */
  deletionTimestamp?: string | undefined
  finalizers: string[]
  ownerReferences: OwnerReference[]
}

const strings = () => z.record(z.string(), z.string()).default(() => ({}))

/** Keeps only what {@link Metadata} names: `managedFields` alone is half of a cached pod. */
export const objectMetadataSchema: z.ZodType<Metadata> = z.object({
  name: z.string(),
  namespace: z.string().default(''),
  uid: z.string().default(''),
  resourceVersion: z.string().default(''),
  generation: z.number().default(0),
  labels: strings(),
  annotations: strings(),
  creationTimestamp: z.string().optional(),
  deletionTimestamp: z.string().optional(),
  finalizers: z.array(z.string()).default(() => []),
  ownerReferences: z.array(ownerReferenceSchema).default(() => []),
})

export interface KubeObject {
  metadata: Metadata
}

/** A kind, as the API server serves it, and the parser of its objects. */
export interface Resource<T extends KubeObject> {
  /** API group; '' for the core group. */
  group: string
  version: string
  plural: string
  kind: string
  namespaced: boolean
  /** @throws z.ZodError when the object is not as this version of the program expects it */
  parse(json: unknown): T
}

export interface ObjectKey {
  /** '' for objects of the cluster. */
  namespace: string
  name: string
}

/** "namespace/name"; "/name" for objects of the cluster. */
export const keyOf = ({ metadata }: KubeObject): string => formatKey(metadata)

/** The inverse of {@link parseKey}. */
export const formatKey = ({ namespace, name }: ObjectKey): string => `${namespace}/${name}`

/** The inverse of {@link keyOf}. */
export const parseKey = (key: string): ObjectKey => {
  const slash = key.indexOf('/')
  return { namespace: key.slice(0, Math.max(slash, 0)), name: key.slice(slash + 1) }
}

/** `apiVersion` of the kind's objects. */
export const apiVersionOf = ({ group, version }: Resource<KubeObject>): string =>
  group === '' ? version : `${group}/${version}`
