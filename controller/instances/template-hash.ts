import type { InstanceSpec } from '../../crds/instance.ts'
import { shortHash } from '../short-hash.ts'
import type { PodParts } from './pod.ts'
import { writes } from './pod-volumes.ts'

/**
 * Which fields of the spec a pod is made from, as they are written there. Of a
 * new field, whatever its default is must leave no trace in the hash: an
 * upgrade that brings the field would roll every pod that was made before.
 */
const makesPod = {
  entrypoint: true,
  command: true,
  args: true,
  env: true,
  envFrom: true,
  workingDir: true,
  ports: true,
  resources: true,
  restartPolicy: true,
  volumes: true,
  volumeMounts: true,
  // In part, or by what they name: below.
  imageRef: false,
  overlays: false,
  ephemeral: false,
  podTemplate: false,
  // What the controller and the agent do with the pod there is.
  state: false,
  updatePolicy: false,
  idleTimeoutSeconds: false,
  activeDeadlineSeconds: false,
  ttlSecondsAfterFinished: false,
  service: false,
} satisfies Record<keyof InstanceSpec, boolean>

const fields = new Set(Object.entries(makesPod).flatMap(([field, makes]) => (makes ? [field] : [])))

/**
 * Hash of what the user says of a pod: of what it is made from, not of the pod,
 * since another version of Lamina may make another pod of the same. Without what
 * changes by itself: whether it needs `prepare`, where it runs, whether it can
 * start without its pull secrets, the operator's own image.
 */
export const templateHash = ({ instance: { spec }, pullSecrets, chosen, overlays }: PodParts): string =>
  shortHash({
    spec: Object.fromEntries(Object.entries(spec).filter(([field]) => fields.has(field))),
    ephemeral: writes(spec) ? undefined : spec.ephemeral,
    // A pod's labels and annotations are for others to read, and to change.
    podTemplate: spec.podTemplate?.spec,
    image: { digest: chosen.digest, os: chosen.platform.os, architecture: chosen.platform.architecture },
    pullSecrets: pullSecrets.map(({ name }) => name),
    overlays: overlays.map(({ overlay, claimName }, index) => ({
      ...{ claimName, volumeMode: overlay.spec.storage.volumeMode },
      ...{ access: spec.overlays[index]?.access, name: overlay.metadata.name, path: overlay.spec.storage.path },
    })),
  })
