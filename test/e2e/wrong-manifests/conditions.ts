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
  { manifest: ofRegistry('capital', { image: 'Debian:12' }), reason: 'TODO', message: 'TODO' },
  { manifest: ofRegistry('no-tag', { image: 'debian:nope', pullSecrets }), reason: 'TODO', message: 'TODO' },
  { manifest: ofRegistry('private', { image: 'debian:12' }), reason: 'TODO', message: 'TODO' },
  {
    manifest: ofRegistry('no-secret', { image: 'debian:12', pullSecrets: [{ name: 'elsewhere' }] }),
    reason: 'TODO',
    message: 'TODO',
  },
  {
    beside: {
      what: 'a Secret that is none of a registry',
      manifest: { apiVersion: 'v1', kind: 'Secret', metadata: { name: 'opaque' }, stringData: { password: 'secret' } },
    },
    manifest: ofRegistry('other-secret', { image: 'debian:12', pullSecrets: [{ name: 'opaque' }] }),
    reason: 'TODO',
    message: 'TODO',
  },
  {
    manifest: ofRegistry(
      'no-platform',
      { image: 'debian:12', pullSecrets },
      { platform: { os: 'linux', architecture: 'riscv64' } },
    ),
    reason: 'TODO',
    message: 'TODO',
  },
  { manifest: ofRegistry('no-registry', { image: '127.0.0.1:1/debian:12' }), reason: 'TODO', message: 'TODO' },
  {
    manifest: image('no-server', { file: { url: 'https://127.0.0.1:1/debian.sif', sha256: '0'.repeat(64) } }),
    reason: 'TODO',
    message: 'TODO',
  },
  { manifest: image('no-claim', { volume: { claimName: 'images' } }), reason: 'TODO', message: 'TODO' },
  {
    beside: { what: 'a claim with `volumeMode: Block`', manifest: claim('block', { volumeMode: 'Block' }) },
    manifest: image('on-device', { volume: { claimName: 'block' } }),
    reason: 'TODO',
    message: 'TODO',
  },
  { manifest: onClaim('no-claim', { existingClaimName: 'data' }), reason: 'TODO', message: 'TODO' },
  {
    beside: { what: 'a claim with `volumeMode: Block`', manifest: claim('device', { volumeMode: 'Block' }) },
    manifest: onClaim('other-mode', { existingClaimName: 'device' }),
    reason: 'TODO',
    message: 'TODO',
  },
  {
    beside: { what: 'a claim with `ReadWriteOnce`', manifest: claim('one-node', {}) },
    manifest: onClaim('other-access', { existingClaimName: 'one-node', accessMode: 'ReadWriteMany' }),
    reason: 'TODO',
    message: 'TODO',
  },
  { manifest: onClaim('no-class', { storageClassName: 'fast' }), reason: 'TODO', message: 'TODO' },
  {
    manifest: persistentOverlay('huge', { size: '900Gi', storage: { storageClassName: 'loop-immediate' } }),
    reason: 'TODO',
    message: 'TODO',
  },
  { manifest: instance('no-image', { image: 'debain' }), reason: 'TODO', message: 'TODO' },
  { manifest: instance('no-overlay', { overlays: ['dve'] }), reason: 'TODO', message: 'TODO' },
  { manifest: instance('no-program', { command: ['nope'] }), reason: 'TODO', message: 'TODO' },
  {
    manifest: instance('no-volume', { volumeMounts: [{ name: 'data', mountPath: '/data' }] }),
    reason: 'TODO',
    message: 'TODO',
  },
  { manifest: instance('no-port', { ports: [{ containerPort: 70_000 }] }), reason: 'TODO', message: 'TODO' },
  { manifest: templated('no-node', { nodeSelector: { disk: 'fast' } }), reason: 'TODO', message: 'TODO' },
  { manifest: main('privileged', { securityContext: { privileged: true } }), reason: 'TODO', message: 'TODO' },
  { manifest: main('twice', { args: ['x'] }, { args: ['y'] }), reason: 'TODO', message: 'TODO' },
  { manifest: main('other-image', { image: 'ubuntu' }), reason: 'TODO', message: 'TODO' },
  { manifest: main('empty-command', { command: [''] }), reason: 'TODO', message: 'TODO' },
  { manifest: main('relative', { workingDir: 'home' }), reason: 'TODO', message: 'TODO' },
  { manifest: main('little-memory', { resources: { limits: { memory: '512m' } } }), reason: 'TODO', message: 'TODO' },
  {
    manifest: templated('our-name', { initContainers: [{ name: 'prepare', image: 'debian' }] }),
    reason: 'TODO',
    message: 'TODO',
  },
  { manifest: templated('no-image-beside', { containers: [{ name: 'proxy' }] }), reason: 'TODO', message: 'TODO' },
  {
    manifest: instance('our-volume', { volumes: [{ name: 'lamina-data', emptyDir: {} }] }),
    reason: 'TODO',
    message: 'TODO',
  },
  {
    manifest: instance('our-claim', {
      volumes: [{ name: 'data', persistentVolumeClaim: { claimName: 'lamina-dev' } }],
    }),
    reason: 'TODO',
    message: 'TODO',
  },
  { manifest: mounted('our-place', '/.lamina/x'), reason: 'TODO', message: 'TODO' },
  { manifest: mounted('over-all', '/'), reason: 'TODO', message: 'TODO' },
  {
    manifest: instance('no-quantity', { volumes: [{ name: 'data', emptyDir: { sizeLimit: '2GB' } }] }),
    reason: 'TODO',
    message: 'TODO',
  },
  {
    beside: {
      what: 'the overlay `plain` with `format: Directory`',
      manifest: persistentOverlay('plain', { format: 'Directory' }),
    },
    manifest: templated('group', { securityContext: { fsGroup: 1000 } }, { overlays: ['plain'] }),
    reason: 'TODO',
    message: 'TODO',
  },
  {
    beside: {
      what: 'a Service `taken`',
      manifest: { apiVersion: 'v1', kind: 'Service', metadata: { name: 'taken' }, spec: { ports: [{ port: 80 }] } },
    },
    manifest: instance('taken', { ports: [{ containerPort: 80 }], service: {} }),
    reason: 'TODO',
    message: 'TODO',
  },
]
