import { type ContainerImage, containerImageSchema } from '../../crds/container-image.ts'
import { type Instance, instanceSchema } from '../../crds/instance.ts'
import { type PersistentOverlay, persistentOverlaySchema } from '../../crds/persistent-overlay.ts'
import { releaseFinalizer } from '../../kube/names.ts'
import { claims, nodes, type PersistentVolumeClaim, type Pod, pods } from '../../kube/resources.ts'

/** Objects as the API server would hand them out, for unit tests: each takes only what its test is about. */

const namespace = 'team'

const metadata = (name: string, more: object = {}) => ({
  name,
  namespace,
  uid: `uid-${name}`,
  resourceVersion: '1',
  generation: 1,
  ...more,
})

type Given = { spec?: object; status?: object; metadata?: object }

export const digestOf = (letter: string): string => `sha256:${letter.repeat(64)}`

export const genResolved = (letter = 'a', config: object = {}) => ({
  reference: `registry.example/debian@${digestOf(letter)}`,
  digest: digestOf(letter),
  platform: { os: 'linux', architecture: 'amd64' },
  sizeBytes: 50_000_000,
  resolveTime: '2026-01-01T00:00:00Z',
  config,
})

export const genImage = (name: string, given: Given = {}): ContainerImage =>
  containerImageSchema.parse({
    metadata: metadata(name, given.metadata),
    spec: { source: { registry: { image: 'registry.example/debian:12' } }, ...given.spec },
    status: given.status ?? { observedGeneration: 1, resolved: genResolved() },
  })

export const genOverlay = (name: string, given: Given = {}): PersistentOverlay =>
  persistentOverlaySchema.parse({
    metadata: metadata(name, given.metadata),
    spec: given.spec ?? {},
    status: { claim: { name: `lamina-${name}`, uid: `uid-lamina-${name}` }, ...given.status },
  })

export const genInstance = (name: string, given: Given = {}): Instance =>
  instanceSchema.parse({
    metadata: metadata(name, given.metadata),
    spec: { imageRef: { name: 'debian' }, ...given.spec },
    status: given.status ?? {},
  })

export const condition = (
  type: string,
  status: 'True' | 'False' | 'Unknown',
  reason: string,
  at = '2026-01-01T00:00:00Z',
) => ({
  type,
  status,
  reason,
  message: '',
  lastTransitionTime: at,
})

/** The pod of an Instance of the same name, with the claims of its overlays. */
export const genPod = (name: string, { claims: names = [], ...given }: Given & { claims?: string[] } = {}): Pod =>
  pods.parse({
    metadata: metadata(name, {
      finalizers: [releaseFinalizer],
      creationTimestamp: '2026-01-01T00:00:00Z',
      ownerReferences: [
        { apiVersion: 'lamina.dev/v1alpha1', kind: 'Instance', name, uid: `uid-${name}`, controller: true },
      ],
      ...given.metadata,
    }),
    spec: {
      containers: [{ name: 'main' }],
      volumes: names.map((claimName, index) => ({ name: `lamina-${index}`, persistentVolumeClaim: { claimName } })),
      ...given.spec,
    },
    status: given.status ?? {},
  })

export const genClaim = (name: string, given: Given = {}): PersistentVolumeClaim =>
  claims.parse({
    metadata: metadata(name, given.metadata),
    spec: { accessModes: ['ReadWriteOnce'], resources: { requests: { storage: '1Gi' } }, ...given.spec },
    status: given.status ?? {},
  })

export const genNode = (name: string, spec: object = {}) =>
  nodes.parse({ metadata: { name, uid: `uid-${name}` }, spec })
