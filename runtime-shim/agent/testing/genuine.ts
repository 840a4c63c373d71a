import type { V1Pod } from '@kubernetes/client-node'
import { podOf } from '../../../controller/instances/pod.ts'
import type { Instance } from '../../../crds/instance.ts'
import type { PersistentOverlay } from '../../../crds/persistent-overlay.ts'
import { formatVolumeReference, volumeDigest } from '../../../kube/image-source.ts'
import { type PersistentVolumeClaim, type Pod, pods } from '../../../kube/resources.ts'
import { genClaim, genInstance, genOverlay, genResolved } from '../../../test/gen/objects.ts'

export const podUID = '5f0e0d2c-0000-4000-8000-000000000001'
const { reference, digest } = genResolved()
export const grantedImage = { reference, digest }

/** The chain of trust, for a test to break in one place. */
export interface Whole {
  pod: V1Pod
  instance: Instance | undefined
  overlay: PersistentOverlay | undefined
  claim: PersistentVolumeClaim | undefined
  /** Of an image on a volume. */
  base: PersistentVolumeClaim | undefined
}

/** An image at `tools.sif` of the claim `images`. */
const onVolume = () => {
  const placed = volumeDigest('team', 'uid-images', 'tools.sif')
  return {
    ...genResolved(),
    digest: placed,
    reference: formatVolumeReference({ claimName: 'images', path: 'tools.sif' }, placed),
  }
}

/** What the controller really makes for an instance `dev` with one overlay `work`. */
export const genuine = ({
  access = 'ReadWrite',
  prepare = true,
  size = '2Gi',
  image = 'registry',
  overlay: overlaySpec = {},
}: {
  access?: 'ReadWrite' | 'ReadOnly'
  prepare?: boolean
  size?: string
  /** Where it comes from; or its reference, up to the digest. */
  image?: 'registry' | 'volume' | { from: string }
  /** Spec of the overlay. */
  overlay?: { storage?: { existingClaimName?: string; volumeMode?: string; path?: string }; [field: string]: unknown }
} = {}): Whole => {
  const resolved = image === 'volume' ? onVolume() : genResolved()
  const chosen = typeof image === 'object' ? { ...resolved, reference: `${image.from}@${resolved.digest}` } : resolved
  const instance = genInstance('dev', {
    spec: { overlays: [{ name: 'work', access }] },
    status: {
      pod: { name: 'dev', uid: podUID },
      image: { reference: chosen.reference, digest: chosen.digest },
      overlays: [{ name: 'work', uid: 'uid-work', access }],
    },
  })
  const { existingClaimName: claimName = 'lamina-work', volumeMode } = overlaySpec.storage ?? {}
  const attachment = { instanceUID: 'uid-dev', instanceName: 'dev', access, attachTime: '2026-01-01T00:00:00Z' }
  const overlay = genOverlay('work', {
    spec: { size, ...overlaySpec },
    status: {
      ...(access === 'ReadWrite' ? { base: chosen } : {}),
      attachments: [attachment],
      claim: { name: claimName, uid: `uid-${claimName}` },
    },
  })
  const made = podOf({
    instance,
    pullSecrets: [],
    chosen,
    overlays: [{ overlay, claimName }],
    placeholderImage: 'lamina:1',
    prepare,
  })
  const pod = { ...made, metadata: { ...made.metadata, uid: podUID, resourceVersion: '1' } }
  return {
    ...{ pod, instance, overlay },
    claim: genClaim(claimName, { spec: volumeMode ? { volumeMode } : {} }),
    base: image === 'volume' ? genClaim('images') : undefined,
  }
}

/** The pod as the API server hands it out. */
export const storedPod = ({ pod }: Pick<Whole, 'pod'>): Pod => pods.parse(JSON.parse(JSON.stringify(pod)))
