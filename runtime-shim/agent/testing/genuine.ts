import type { V1Pod } from '@kubernetes/client-node'
import { podOf } from '../../../controller/instances/pod.ts'
import type { Instance } from '../../../crds/instance.ts'
import type { PersistentOverlay } from '../../../crds/persistent-overlay.ts'
import { type PersistentVolumeClaim, type Pod, pods } from '../../../kube/resources.ts'
import { genClaim, genImage, genInstance, genOverlay, genResolved } from '../../../test/gen/objects.ts'

export const podUID = '5f0e0d2c-0000-4000-8000-000000000001'
const { reference, digest } = genResolved()
export const grantedImage = { reference, digest }

/** The chain of trust, for a test to break in one place. */
export interface Whole {
  pod: V1Pod
  instance: Instance | undefined
  overlay: PersistentOverlay | undefined
  claim: PersistentVolumeClaim | undefined
}

/** What the controller really makes for an instance `dev` with one overlay `work`. */
export const genuine = ({
  access = 'ReadWrite',
  prepare = true,
  size = '2Gi',
}: {
  access?: 'ReadWrite' | 'ReadOnly'
  prepare?: boolean
  size?: string
} = {}): Whole => {
  const instance = genInstance('dev', {
    spec: { overlays: [{ name: 'work', access }] },
    status: {
      pod: { name: 'dev', uid: podUID },
      image: grantedImage,
      overlays: [{ name: 'work', uid: 'uid-work', access }],
    },
  })
  const attachment = { instanceUID: 'uid-dev', instanceName: 'dev', access, attachTime: '2026-01-01T00:00:00Z' }
  const overlay = genOverlay('work', { spec: { size }, status: { attachments: [attachment] } })
  const made = podOf({
    instance,
    image: genImage('debian'),
    chosen: genResolved(),
    overlays: [{ overlay, claimName: 'lamina-work' }],
    placeholderImage: 'lamina:1',
    prepare,
  })
  const pod = { ...made, metadata: { ...made.metadata, uid: podUID, resourceVersion: '1' } }
  return { pod, instance, overlay, claim: genClaim('lamina-work') }
}

/** The pod as the API server hands it out. */
export const storedPod = ({ pod }: Pick<Whole, 'pod'>): Pod => pods.parse(JSON.parse(JSON.stringify(pod)))
