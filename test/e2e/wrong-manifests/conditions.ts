import { containerImage, instance, persistentOverlay } from '../support/objects.ts'
import type { Judged } from './rule.ts'

/**
 * What the API server takes and the controller finds wrong, in a namespace `team` that has the Secret
 * `registry` and the ContainerImage `debian`, both as they should be.
 */
export interface WrongObject {
  /** What has to be there, in words, and is as it should be. */
  beside?: { what: string; manifest: Judged }
  manifest: Named
  /** Of its condition Ready. */
  reason: string
  message: string
}

type Named = Judged & { kind: string; metadata: { name: string } }

const pullSecrets = [{ name: 'registry' }]
const image = (name: string, source: object, more: object = {}) => ({
  ...containerImage(name, 'debian:12'),
  spec: { source, ...more },
})
const ofRegistry = (name: string, registry: object, more: object = {}) => image(name, { registry }, more)

const claim = (name: string, spec: object) => ({
  apiVersion: 'v1',
  kind: 'PersistentVolumeClaim',
  metadata: { name },
  spec: {
    accessModes: ['ReadWriteOnce'],
    storageClassName: 'loop',
    resources: { requests: { storage: '64Mi' } },
    ...spec,
  },
})
const onClaim = (name: string, storage: object) => persistentOverlay(name, { storage })

type InstanceSpec = Parameters<typeof instance>[1]

const templated = (name: string, spec: object, more: InstanceSpec = {}) =>
  instance(name, { ...more, podTemplate: { spec } })
const main = (name: string, container: object, more: InstanceSpec = {}) =>
  templated(name, { containers: [{ name: 'main', ...container }] }, more)

const mounted = (name: string, mountPath: string) =>
  instance(name, { volumes: [{ name: 'data', emptyDir: {} }], volumeMounts: [{ name: 'data', mountPath }] })

export const wrongObjects: readonly WrongObject[] = [
  {
    manifest: ofRegistry('capital', { image: 'Debian:12' }),
    reason: 'ImageReferenceInvalid',
    message:
      '"Debian:12" is not an image reference: write it as registry/repository:tag or repository@sha256:…, in lower case',
  },
  {
    manifest: ofRegistry('no-tag', { image: 'debian:nope', pullSecrets }),
    reason: 'ImageNotFound',
    message:
      '"docker.io/library/debian:nope" is not in the registry (reading manifest nope in docker.io/library/debian: manifest unknown: manifest unknown): check its name and tag',
  },
  {
    manifest: ofRegistry('private', { image: 'debian:12' }),
    reason: 'ImageUnauthorized',
    message:
      'the registry wants credentials for "docker.io/library/debian:12" (reading manifest 12 in docker.io/library/debian: unauthorized: authentication required): name a Secret of type kubernetes.io/dockerconfigjson for docker.io in spec.source.registry.pullSecrets',
  },
  {
    manifest: ofRegistry('no-secret', { image: 'debian:12', pullSecrets: [{ name: 'elsewhere' }] }),
    reason: 'PullSecretInvalid',
    message: 'pullSecrets names the Secret "elsewhere", which is not in namespace team: create it there',
  },
  {
    beside: {
      what: 'a Secret that is none of a registry',
      manifest: { apiVersion: 'v1', kind: 'Secret', metadata: { name: 'opaque' }, stringData: { password: 'secret' } },
    },
    manifest: ofRegistry('other-secret', { image: 'debian:12', pullSecrets: [{ name: 'opaque' }] }),
    reason: 'PullSecretInvalid',
    message:
      'the Secret "opaque" of pullSecrets has no .dockerconfigjson: make it with kubectl create secret docker-registry',
  },
  {
    manifest: ofRegistry(
      'no-platform',
      { image: 'debian:12', pullSecrets },
      { platform: { os: 'linux', architecture: 'riscv64' } },
    ),
    reason: 'PlatformNotFound',
    message:
      '"docker.io/library/debian@sha256:…" is not there for linux/riscv64, only for linux/amd64: set spec.platform to one that is there',
  },
  {
    manifest: ofRegistry('no-registry', { image: '127.0.0.1:1/debian:12' }),
    reason: 'RegistryUnreachable',
    message:
      'the registry of "127.0.0.1:1/debian:12" cannot be reached (pinging container registry 127.0.0.1:1: Get "https://127.0.0.1:1/v2/": dial tcp 127.0.0.1:1: connect: connection refused); it is tried again',
  },
  {
    manifest: image('no-server', { file: { url: 'https://127.0.0.1:1/debian.sif', sha256: '0'.repeat(64) } }),
    reason: 'ImageUnreachable',
    message: '127.0.0.1:1 cannot be reached (connect ECONNREFUSED 127.0.0.1:1); it is tried again',
  },
  {
    manifest: image('no-claim', { volume: { claimName: 'images' } }),
    reason: 'ClaimNotFound',
    message:
      'PersistentVolumeClaim images is not in namespace team: create it, or correct spec.source.volume.claimName',
  },
  {
    beside: { what: 'a claim with `volumeMode: Block`', manifest: claim('block', { volumeMode: 'Block' }) },
    manifest: image('on-device', { volume: { claimName: 'block' } }),
    reason: 'ClaimUnsuitable',
    message:
      'PersistentVolumeClaim block has volumeMode Block: an image lies in a file system, use a claim that has one',
  },
  {
    manifest: onClaim('no-claim', { existingClaimName: 'data' }),
    reason: 'ClaimNotFound',
    message:
      'PersistentVolumeClaim data, which storage.existingClaimName names, is not in namespace team: make it there, or make an overlay with a claim of its own',
  },
  {
    beside: { what: 'a claim with `volumeMode: Block`', manifest: claim('device', { volumeMode: 'Block' }) },
    manifest: onClaim('other-mode', { existingClaimName: 'device' }),
    reason: 'VolumeModeMismatch',
    message:
      'PersistentVolumeClaim device has volumeMode Block, not storage.volumeMode Filesystem: make the overlay anew with storage.volumeMode: Block',
  },
  {
    beside: { what: 'a claim with `ReadWriteOnce`', manifest: claim('one-node', {}) },
    manifest: onClaim('other-access', { existingClaimName: 'one-node', accessMode: 'ReadWriteMany' }),
    reason: 'AccessModeMismatch',
    message:
      'PersistentVolumeClaim one-node has ReadWriteOnce, not storage.accessMode ReadWriteMany: make the overlay anew with one that the claim has',
  },
  {
    manifest: onClaim('no-class', { storageClassName: 'fast' }),
    reason: 'ProvisioningFailed',
    message:
      'the volume is not made: storageclass.storage.k8s.io "fast" not found: make the overlay anew with another size or storage.storageClassName, or have the StorageClass mended',
  },
  {
    manifest: persistentOverlay('huge', { size: '900Gi', storage: { storageClassName: 'loop-immediate' } }),
    reason: 'ProvisioningFailed',
    message:
      'the volume is not made: the backend has no 980442Mi: volumes are at most 64Gi: make the overlay anew with another size or storage.storageClassName, or have the StorageClass mended',
  },
  {
    manifest: instance('no-image', { image: 'debain' }),
    reason: 'ImageNotFound',
    message: 'there is no ContainerImage "debain" in namespace team: create it, or correct spec.imageRef',
  },
  {
    manifest: instance('no-overlay', { overlays: ['dve'] }),
    reason: 'OverlayNotFound',
    message: 'there is no PersistentOverlay "dve" in namespace team: create it, or correct spec.overlays',
  },
  {
    manifest: instance('no-program', { command: ['nope'] }),
    reason: 'StartFailed',
    message:
      'image docker.io/library/debian@sha256:… has no nope in its PATH to run: set command of the Instance to a program that it has, or entrypoint: Idle and no command to exec into it',
  },
  {
    manifest: instance('no-volume', { volumeMounts: [{ name: 'data', mountPath: '/data' }] }),
    reason: 'PodInvalid',
    message:
      'the API server does not take the pod that the spec makes: Pod "no-volume" is invalid: spec.containers[0].volumeMounts[2].name: Not found: "data"',
  },
  {
    manifest: instance('no-port', { ports: [{ containerPort: 70_000 }] }),
    reason: 'PodInvalid',
    message:
      'the API server does not take the pod that the spec makes: Pod "no-port" is invalid: spec.containers[0].ports[0].containerPort: Invalid value: 70000: must be between 1 and 65535, inclusive',
  },
  {
    manifest: templated('no-node', { nodeSelector: { disk: 'fast' } }),
    reason: 'Unschedulable',
    message:
      "0/1 nodes are available: 1 node(s) didn't match Pod's node affinity/selector. preemption: 0/1 nodes are available: 1 Preemption is not helpful for scheduling.",
  },
  {
    manifest: main('privileged', { securityContext: { privileged: true } }),
    reason: 'PodRefused',
    message:
      'the API server does not take the pod that the spec makes: pods "privileged" is forbidden: violates PodSecurity "baseline:latest": privileged (container "main" must not set securityContext.privileged=true)',
  },
  {
    manifest: main('twice', { args: ['x'] }, { args: ['y'] }),
    reason: 'InvalidSpec',
    message: "args is set in spec and in podTemplate's container main: leave one of the two out",
  },
  {
    manifest: main('other-image', { image: 'ubuntu' }),
    reason: 'InvalidSpec',
    message: 'podTemplate sets the image of the container main: use imageRef instead',
  },
  {
    manifest: main('empty-command', { command: [''] }),
    reason: 'InvalidSpec',
    message: "command of podTemplate's container main must begin with a program: leave it out for the image's own",
  },
  {
    manifest: main('relative', { workingDir: 'home' }),
    reason: 'InvalidSpec',
    message: 'workingDir "home" of podTemplate\'s container main must be a path from the root: /home/me',
  },
  {
    manifest: main('little-memory', { resources: { limits: { memory: '512m' } } }),
    reason: 'InvalidSpec',
    message:
      'resources.limits.memory of podTemplate\'s container "main" must be at least 1Mi, such as 512Mi (m means thousandths of a byte)',
  },
  {
    manifest: templated('our-name', { initContainers: [{ name: 'prepare', image: 'debian' }] }),
    reason: 'InvalidSpec',
    message: 'podTemplate has a container of its own named "prepare": that name is Lamina\'s, choose another',
  },
  {
    manifest: templated('no-image-beside', { containers: [{ name: 'proxy' }] }),
    reason: 'InvalidSpec',
    message:
      'podTemplate\'s container "proxy" has no image: set one, or name it "main" if the instance\'s own is meant',
  },
  {
    manifest: instance('our-volume', { volumes: [{ name: 'lamina-data', emptyDir: {} }] }),
    reason: 'InvalidSpec',
    message: 'volume "lamina-data": names that begin with lamina- are Lamina\'s, choose another',
  },
  {
    manifest: instance('our-claim', {
      volumes: [{ name: 'data', persistentVolumeClaim: { claimName: 'lamina-dev' } }],
    }),
    reason: 'InvalidSpec',
    message: 'volume "data" uses a claim of Lamina\'s: name its overlay in spec.overlays instead',
  },
  {
    manifest: mounted('our-place', '/.lamina/x'),
    reason: 'InvalidSpec',
    message: 'volumeMount "data" at /.lamina/x: lamina-* and /.lamina are Lamina\'s, choose another',
  },
  {
    manifest: mounted('over-all', '/'),
    reason: 'InvalidSpec',
    message: 'volumeMount "data" at / would hide the image and its overlays: mount it below',
  },
  {
    manifest: instance('no-quantity', { volumes: [{ name: 'data', emptyDir: { sizeLimit: '2GB' } }] }),
    reason: 'InvalidSpec',
    message:
      'spec.volumes[0].emptyDir.sizeLimit: "2GB" is not a quantity: write 500m or 2 of cpu, 512Mi or 4Gi of memory and sizes',
  },
  {
    beside: {
      what: 'the overlay `plain` with `format: Directory`',
      manifest: persistentOverlay('plain', { format: 'Directory' }),
    },
    manifest: templated('group', { securityContext: { fsGroup: 1000 } }, { overlays: ['plain'] }),
    reason: 'InvalidSpec',
    message:
      'podTemplate sets securityContext.fsGroup, and overlay "plain" has format: Directory: the kubelet would change the owner of all files in it. Leave fsGroup out, or use an overlay of format: Image',
  },
  {
    beside: {
      what: 'a Service `taken`',
      manifest: { apiVersion: 'v1', kind: 'Service', metadata: { name: 'taken' }, spec: { ports: [{ port: 80 }] } },
    },
    manifest: instance('taken', { ports: [{ containerPort: 80 }], service: {} }),
    reason: 'ServiceNameTaken',
    message: "a Service taken that is not this instance's has its name: delete it, or leave out spec.service",
  },
]
