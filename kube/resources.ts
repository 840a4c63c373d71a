import type {
  CoreV1Event,
  V1CSIDriver,
  V1DaemonSet,
  V1Lease,
  V1Node,
  V1PersistentVolume,
  V1PersistentVolumeClaim,
  V1Pod,
  V1Secret,
  V1Service,
  V1StorageClass,
} from '@kubernetes/client-node'
import * as z from 'zod'
import { type ContainerImage, containerImageSchema } from '../crds/container-image.ts'
import { type Instance, instanceSchema } from '../crds/instance.ts'
import { type PersistentOverlay, persistentOverlaySchema } from '../crds/persistent-overlay.ts'
import { group, version } from './names.ts'
import { type KubeObject, objectMetadataSchema, type Resource } from './resource.ts'

/** The kinds that Lamina reads and writes. */

/**
 * An object of Kubernetes' own kinds as it comes over the wire. Its types say
 * `Date` for times, but JSON has strings: read them with `String()`.
 */
export type Stored<T> = Omit<T, 'metadata'> & KubeObject

export type Pod = Stored<V1Pod>
export type PersistentVolume = Stored<V1PersistentVolume>
export type PersistentVolumeClaim = Stored<V1PersistentVolumeClaim>
export type Secret = Stored<V1Secret>
export type Service = Stored<V1Service>
export type Node = Stored<V1Node>
export type DaemonSet = Stored<V1DaemonSet>
export type Event = Stored<CoreV1Event>
export type Lease = Stored<V1Lease>
export type StorageClass = Stored<V1StorageClass>
export type CSIDriver = Stored<V1CSIDriver>

const withMetadata = z.looseObject({ metadata: objectMetadataSchema })

/** The API server has checked all but our own kinds: only their metadata is parsed again. */
const builtIn = <T extends KubeObject>(names: Omit<Resource<T>, 'parse'>): Resource<T> => {
  const typed = z.custom<T>()
  return { ...names, parse: (json) => typed.parse(withMetadata.parse(json)) }
}

const core = { group: '', version: 'v1', namespaced: true } as const

export const pods = builtIn<Pod>({ ...core, plural: 'pods', kind: 'Pod' })
export const claims = builtIn<PersistentVolumeClaim>({
  ...core,
  plural: 'persistentvolumeclaims',
  kind: 'PersistentVolumeClaim',
})
export const volumes = builtIn<PersistentVolume>({
  ...core,
  plural: 'persistentvolumes',
  kind: 'PersistentVolume',
  namespaced: false,
})
export const secrets = builtIn<Secret>({ ...core, plural: 'secrets', kind: 'Secret' })
export const services = builtIn<Service>({ ...core, plural: 'services', kind: 'Service' })
export const nodes = builtIn<Node>({ ...core, plural: 'nodes', kind: 'Node', namespaced: false })
export const events = builtIn<Event>({ ...core, plural: 'events', kind: 'Event' })
export const daemonSets = builtIn<DaemonSet>({
  group: 'apps',
  version: 'v1',
  plural: 'daemonsets',
  kind: 'DaemonSet',
  namespaced: true,
})
export const leases = builtIn<Lease>({
  group: 'coordination.k8s.io',
  version: 'v1',
  plural: 'leases',
  kind: 'Lease',
  namespaced: true,
})
export const storageClasses = builtIn<StorageClass>({
  group: 'storage.k8s.io',
  version: 'v1',
  plural: 'storageclasses',
  kind: 'StorageClass',
  namespaced: false,
})

export const csiDrivers = builtIn<CSIDriver>({
  group: 'storage.k8s.io',
  version: 'v1',
  plural: 'csidrivers',
  kind: 'CSIDriver',
  namespaced: false,
})

const own = <T extends KubeObject>(plural: string, kind: string, schema: z.ZodType<T>): Resource<T> => ({
  group,
  version,
  plural,
  kind,
  namespaced: true,
  parse: (json) => schema.parse(json),
})

export const containerImages = own<ContainerImage>('containerimages', 'ContainerImage', containerImageSchema)
export const persistentOverlays = own<PersistentOverlay>(
  'persistentoverlays',
  'PersistentOverlay',
  persistentOverlaySchema,
)
export const instances = own<Instance>('instances', 'Instance', instanceSchema)
