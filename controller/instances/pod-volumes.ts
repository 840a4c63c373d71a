import type { V1Container, V1Volume, V1VolumeMount } from '@kubernetes/client-node'
import type { InstanceSpec } from '../../crds/instance.ts'
import type { OverlayBase, PersistentOverlay } from '../../crds/persistent-overlay.ts'
import { parseVolumeReference } from '../../kube/image-source.ts'
import {
  baseMountPath,
  baseVolume,
  ephemeralMountPath,
  ephemeralVolume,
  overlayMountPath,
  overlayVolume,
  pullSecretMountPath,
  pullSecretVolume,
} from '../../kube/names.ts'
import { formatQuantity, parseQuantity } from '../../kube/quantity.ts'
import type { PullSecret } from './base.ts'

/** An overlay with the claim that holds it. */
export interface ClaimedOverlay {
  overlay: PersistentOverlay
  claimName: string
}

/** What the pod of an instance has for the runtime to mount. */
export interface VolumeParts {
  spec: InstanceSpec
  pullSecrets: readonly PullSecret[]
  chosen: OverlayBase
  overlays: readonly ClaimedOverlay[]
}

/** Whether one of its overlays takes what is written; else it has a throw-away layer. */
export const writes = (spec: InstanceSpec): boolean => spec.overlays.some(({ access }) => access === 'ReadWrite')

/** As large as memory pages are anywhere. */
const largestPage = 65_536

/** A tmpfs has whole pages: one that may hold more than its limit has its pod evicted, where ENOSPC is promised. */
const wholePages = (limit: string): string => {
  const bytes = parseQuantity(limit)
  return bytes % largestPage === 0 ? limit : formatQuantity(Math.ceil(bytes / largestPage) * largestPage)
}

const ephemeralOf = ({ ephemeral }: InstanceSpec): V1Volume => {
  const inMemory = ephemeral?.medium === 'Memory'
  const asked = ephemeral?.sizeLimit
  const sizeLimit = asked !== undefined && inMemory ? wholePages(asked) : asked
  return {
    name: ephemeralVolume,
    emptyDir: { ...(sizeLimit === undefined ? {} : { sizeLimit }), ...(inMemory ? { medium: 'Memory' } : {}) },
  }
}

/**
 * Of the image that the pod really runs on: an overlay may keep it on an earlier
 * one. Read-only as a whole, so that the kubelet gives no group its files; but it
 * mounts a claim once, and as one of the pod's volumes says.
 */
const baseOf = ({ chosen: { reference }, overlays }: VolumeParts): V1Volume[] => {
  const { claimName } = parseVolumeReference(reference) ?? {}
  if (claimName === undefined) return []
  const isWritten = overlays.some((overlay) => overlay.claimName === claimName)
  const claim = { claimName, ...(isWritten ? {} : { readOnly: true }) }
  return [{ name: baseVolume, persistentVolumeClaim: claim }]
}

/** The kubelet may read these secrets for the pod's node; nobody else there needs to. */
export const pullSecretVolumes = (secrets: readonly PullSecret[]): V1Volume[] =>
  secrets.map(({ name, optional }, index) => ({
    name: pullSecretVolume(index),
    secret: { secretName: name, ...(optional ? { optional } : {}) },
  }))

export const pullSecretMounts = (secrets: readonly PullSecret[]): V1VolumeMount[] =>
  secrets.map((_, index) => ({
    name: pullSecretVolume(index),
    mountPath: pullSecretMountPath(index),
    readOnly: true,
  }))

export const ourVolumes = (parts: VolumeParts): V1Volume[] => [
  ...parts.overlays.map(({ claimName }, index) => ({
    name: overlayVolume(index),
    persistentVolumeClaim: { claimName },
  })),
  ...(writes(parts.spec) ? [] : [ephemeralOf(parts.spec)]),
  ...baseOf(parts),
  ...pullSecretVolumes(parts.pullSecrets),
]

const isBlock = ({ overlay }: ClaimedOverlay): boolean => overlay.spec.storage.volumeMode === 'Block'

/** How a container has them; the runtime takes them from it again. */
export const ourMounts = (
  parts: VolumeParts,
): Required<Pick<V1Container, 'volumeMounts'>> & Pick<V1Container, 'volumeDevices'> => {
  const places = parts.overlays.map((claimed, index) => ({
    block: isBlock(claimed),
    name: overlayVolume(index),
    path: overlayMountPath(index),
  }))
  const devices = places.filter(({ block }) => block).map(({ name, path }) => ({ name, devicePath: path }))
  return {
    volumeMounts: [
      ...places.filter(({ block }) => !block).map(({ name, path }) => ({ name, mountPath: path })),
      ...(writes(parts.spec) ? [] : [{ name: ephemeralVolume, mountPath: ephemeralMountPath }]),
      ...baseOf(parts).map(({ name }) => ({ name, mountPath: baseMountPath, readOnly: true })),
      ...pullSecretMounts(parts.pullSecrets),
    ],
    ...(devices.length > 0 ? { volumeDevices: devices } : {}),
  }
}
