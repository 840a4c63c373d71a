import { describe, expect, test } from 'vitest'
import { digestOf, genInstance, genOverlay, genResolved } from '../../test/gen/objects.ts'
import { type PodParts, podOf } from './pod.ts'

const parts = (spec: object, { config = {}, ...more }: Partial<PodParts> & { config?: object } = {}): PodParts => ({
  instance: genInstance('dev', { spec: { imageRef: { name: 'debian' }, ...spec } }),
  pullSecrets: [],
  chosen: genResolved('a', config),
  overlays: [],
  placeholderImage: 'lamina:1',
  prepare: false,
  ...more,
})
const pod = (spec: object, more: Parameters<typeof parts>[1] = {}) => podOf(parts(spec, more))
const main = (spec: object, config: object = {}) => pod(spec, { config }).spec?.containers[0]
const withMain = (container: object) => ({ podTemplate: { spec: { containers: [{ name: 'main', ...container }] } } })

describe('the pod of an instance', () => {
  test('has its name, its owner, the finalizer and the RuntimeClass', () => {
    expect(pod({})).toMatchObject({
      metadata: {
        name: 'dev',
        namespace: 'team',
        finalizers: ['lamina.dev/release'],
        ownerReferences: [{ kind: 'Instance', uid: 'uid-dev', controller: true }],
        labels: { 'lamina.dev/instance': 'dev' },
      },
      spec: {
        runtimeClassName: 'lamina',
        nodeSelector: { 'kubernetes.io/os': 'linux', 'kubernetes.io/arch': 'amd64' },
      },
    })
  })

  test.each([
    ["the image's own program", { entrypoint: 'Image' }, 'SIGINT'],
    ['another program', { command: ['serve'] }, 'SIGINT'],
    ['one that idles', {}, undefined],
  ])("carries the image's stop signal for %s", (_, spec, signal) => {
    const { annotations = {} } = pod(spec, { config: { stopSignal: 'SIGINT' } }).metadata ?? {}
    expect(annotations['lamina.dev/stop-signal']).toBe(signal)
  })

  test('asks for a report of its use where that matters', () => {
    expect(pod({ idleTimeoutSeconds: 60 }).metadata?.annotations).toHaveProperty(['lamina.dev/report-idle'])
    expect(pod({}).metadata?.annotations).not.toHaveProperty(['lamina.dev/report-idle'])
  })

  test('mounts each overlay where the runtime looks for it', () => {
    const overlays = ['a', 'b'].map((name) => ({ overlay: genOverlay(name), claimName: `lamina-${name}` }))
    const uses = [{ name: 'a' }, { name: 'b', access: 'ReadOnly' }]
    expect(pod({ overlays: uses }, { overlays }).spec).toMatchObject({
      volumes: [
        { name: 'lamina-0', persistentVolumeClaim: { claimName: 'lamina-a' } },
        { name: 'lamina-1', persistentVolumeClaim: { claimName: 'lamina-b' } },
      ],
      containers: [
        {
          volumeMounts: [
            { name: 'lamina-0', mountPath: '/.lamina/overlays/0' },
            { name: 'lamina-1', mountPath: '/.lamina/overlays/1' },
          ],
        },
      ],
    })
  })

  test('has an overlay on a block volume as a device', () => {
    const block = genOverlay('a', { spec: { storage: { volumeMode: 'Block' } } })
    const overlays = [
      { overlay: block, claimName: 'lamina-a' },
      { overlay: genOverlay('b'), claimName: 'lamina-b' },
    ]
    const uses = [{ name: 'a' }, { name: 'b', access: 'ReadOnly' }]
    const sidecar = { name: 'main', volumeDevices: [{ name: 'mine', devicePath: '/dev/mine' }] }
    const { initContainers, containers } =
      pod({ overlays: uses, podTemplate: { spec: { containers: [sidecar] } } }, { overlays, prepare: true }).spec ?? {}
    const expected = {
      volumeMounts: [{ name: 'lamina-1', mountPath: '/.lamina/overlays/1' }],
      volumeDevices: [{ name: 'lamina-0', devicePath: '/.lamina/overlays/0' }],
    }
    expect(initContainers).toMatchObject([{ name: 'prepare', ...expected }])
    expect(containers).toMatchObject([
      { ...expected, volumeDevices: [...expected.volumeDevices, { name: 'mine', devicePath: '/dev/mine' }] },
    ])
  })

  test('has the volume of its image read-only, also of an image that only its overlay keeps', () => {
    const reference = `volume://images/a/tools.sif@${digestOf('a')}`
    const { volumes, containers } = pod({}, { chosen: { ...genResolved(), reference } }).spec ?? {}
    expect(volumes).toContainEqual({
      name: 'lamina-base',
      persistentVolumeClaim: { claimName: 'images', readOnly: true },
    })
    expect(containers?.[0]?.volumeMounts).toContainEqual({
      name: 'lamina-base',
      mountPath: '/.lamina/base',
      readOnly: true,
    })
  })

  test('leaves that volume writable where an overlay lies on it too: the kubelet mounts a claim but once', () => {
    const reference = `volume://mine/tools.sif@${digestOf('a')}`
    const overlays = [{ overlay: genOverlay('a'), claimName: 'mine' }]
    const given = { overlays, chosen: { ...genResolved(), reference } }
    const { volumes, containers } = pod({ overlays: [{ name: 'a' }] }, given).spec ?? {}
    expect(volumes).toContainEqual({ name: 'lamina-base', persistentVolumeClaim: { claimName: 'mine' } })
    expect(containers?.[0]?.volumeMounts).toContainEqual(
      expect.objectContaining({ name: 'lamina-base', readOnly: true }),
    )
  })

  test('without a writable overlay it has a throw-away one, of the size and medium asked', () => {
    expect(pod({ ephemeral: { sizeLimit: '30M', medium: 'Memory' } }).spec?.volumes).toMatchObject([
      { emptyDir: { sizeLimit: '29312Ki' } },
    ])
    expect(pod({ ephemeral: { sizeLimit: '2Gi', medium: 'Memory' } }).spec?.volumes).toEqual([
      { name: 'lamina-ephemeral', emptyDir: { sizeLimit: '2Gi', medium: 'Memory' } },
    ])
  })

  test('pull secrets are volumes, so that the node reads only those of its own pods', () => {
    const pullSecrets = [
      { name: 'registry', optional: false },
      { name: 'remembered', optional: true },
    ]
    expect(pod({}, { pullSecrets }).spec?.volumes).toEqual(
      expect.arrayContaining([
        { name: 'lamina-pull-0', secret: { secretName: 'registry' } },
        { name: 'lamina-pull-1', secret: { secretName: 'remembered', optional: true } },
      ]),
    )
  })
})

describe('what runs', () => {
  const image = { entrypoint: ['/entry', '$(X)'], cmd: ['cmd'] }
  test.each([
    ['idles by default with Always', {}, ['/.lamina/init', '-P'], []],
    ['the image’s own by default with Never', { restartPolicy: 'Never' }, ['/entry'], ['$$(X)', 'cmd']],
    ['the image’s own when asked', { entrypoint: 'Image' }, ['/entry'], ['$$(X)', 'cmd']],
    ['command replaces entrypoint and cmd', { command: ['sh'] }, ['sh'], []],
    ['args replace cmd only', { args: ['other'] }, ['/entry', '$$(X)'], ['other']],
    ['command with args', { command: ['sh'], args: ['-c', '$(Y)'] }, ['sh'], ['-c', '$(Y)']],
  ])('%s', (_, spec, command, args) => {
    expect(main(spec, image)).toMatchObject({ command, args })
  })

  test('the first of args is the program when the image has no entrypoint', () => {
    expect(main({ args: ['ls', '-l'] }, { cmd: ['bash'] })).toMatchObject({ command: ['ls'], args: ['-l'] })
  })

  test.each([
    ['the spec’s', { workingDir: '/srv' }, { workingDir: '/opt' }, '/srv'],
    ['the image’s', {}, { workingDir: '/opt' }, '/opt'],
    ['the root, never the placeholder’s', {}, {}, '/'],
  ])('in %s working directory', (_, spec, config, workingDir) => {
    expect(main(spec, config)).toMatchObject({ workingDir })
  })

  test("the image's environment is literal, and yields to the spec's", () => {
    const config = { env: ['PATH=/bin', 'A=$(B)', 'C=image'] }
    expect(main({ env: [{ name: 'C', value: 'spec' }] }, config)?.env).toEqual([
      { name: 'PATH', value: '/bin' },
      { name: 'A', value: '$$(B)' },
      { name: 'C', value: 'spec' },
    ])
  })
})

describe('the user', () => {
  test.each([
    ['root by default', {}, '', { runAsUser: 0 }],
    ['a number of the image', {}, '1000:100', { runAsUser: 1000, runAsGroup: 100 }],
    ['a name is left to the node, which has the passwd', {}, 'worker', undefined],
    ['the pod’s own comes first', withMain({ securityContext: { runAsUser: 5 } }), '1000', { runAsUser: 5 }],
    [
      'root under runAsNonRoot is left to the node, which refuses it',
      withMain({ securityContext: { runAsNonRoot: true } }),
      '',
      { runAsNonRoot: true },
    ],
  ])('%s', (_, spec, user, expected) => {
    expect(main(spec, { user })?.securityContext).toEqual(expected)
  })
})

describe('podTemplate', () => {
  test('is laid over: scalars replace, containers and volumes merge by name', () => {
    const spec = {
      podTemplate: {
        metadata: { labels: { app: 'x' } },
        spec: {
          hostNetwork: true,
          nodeSelector: { disk: 'ssd' },
          containers: [
            { name: 'main', tty: true },
            { name: 'sidecar', image: 's' },
          ],
          volumes: [{ name: 'more', emptyDir: {} }],
        },
      },
    }
    const result = pod(spec)
    expect(result.metadata?.labels).toMatchObject({ app: 'x', 'lamina.dev/instance': 'dev' })
    expect(result.spec).toMatchObject({
      hostNetwork: true,
      nodeSelector: { disk: 'ssd', 'kubernetes.io/os': 'linux' },
      containers: [{ name: 'main', image: 'lamina:1', tty: true }, { name: 'sidecar' }],
      volumes: [{ name: 'lamina-ephemeral' }, { name: 'more' }],
    })
  })
})
