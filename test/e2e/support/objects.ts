import { apiVersion } from '../../../kube/names.ts'

/** Builders of the objects that the tests apply; each takes only what its test is about. */

export const containerImage = (name: string, image: string, { pullSecrets = [] }: { pullSecrets?: string[] } = {}) => ({
  apiVersion,
  kind: 'ContainerImage',
  metadata: { name },
  spec: {
    source: {
      registry: {
        image,
        ...(pullSecrets.length > 0 ? { pullSecrets: pullSecrets.map((secret) => ({ name: secret })) } : {}),
      },
    },
  },
})

export const persistentOverlay = (name: string, spec: object = {}) => ({
  apiVersion,
  kind: 'PersistentOverlay',
  metadata: { name },
  spec: { size: '64Mi', ...spec },
})

export type OverlayUse = string | { name: string; access: 'ReadWrite' | 'ReadOnly'; base?: 'Keep' | 'Follow' }

export const instance = (
  name: string,
  { image = 'debian', overlays = [], ...spec }: { image?: string; overlays?: OverlayUse[]; [field: string]: unknown },
) => ({
  apiVersion,
  kind: 'Instance',
  metadata: { name },
  spec: {
    imageRef: { name: image },
    overlays: overlays.map((use) => (typeof use === 'string' ? { name: use, access: 'ReadWrite' } : use)),
    ...spec,
  },
})

/** Puts an object into a namespace. */
export const inNamespace = <T extends { metadata: object }>(namespace: string, object: T) => ({
  ...object,
  metadata: { ...object.metadata, namespace },
})

/** A one-gigabyte grace is nobody's wish in a test: pods of the tests end at once. */
export const promptly = { spec: { terminationGracePeriodSeconds: 1 } }
