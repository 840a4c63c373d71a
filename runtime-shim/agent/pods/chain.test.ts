import { describe, expect, test } from 'vitest'
import { genResolved } from '../../../test/gen/objects.ts'
import { genuine, grantedImage, type Whole } from '../testing/genuine.ts'
import { mainOf as main, verdictOn as verdict, verdictAfter, volumeOf as volume } from '../testing/judged.ts'

const flip = (change: (whole: Whole) => void, access: 'ReadWrite' | 'ReadOnly' = 'ReadWrite') =>
  verdictAfter({ access }, change)

const otherDigest = `sha256:${'b'.repeat(64)}`
const heldByOther = (access: 'ReadWrite' | 'ReadOnly') => ({
  ...{ instanceUID: 'uid-other', instanceName: 'other', access },
  attachTime: '2026-01-01T00:00:00Z',
})

describe('a genuine pod', () => {
  test('may mount what was granted', () => {
    expect(verdict(genuine())).toMatchObject({
      image: grantedImage,
      overlays: [
        {
          name: 'work',
          uid: 'uid-work',
          access: 'ReadWrite',
          mountPath: '/.lamina/overlays/0',
          volumeMode: 'Filesystem',
          format: 'Image',
          path: 'overlay.img',
          size: 2 * 2 ** 30,
          ext3: {},
          existing: false,
          made: false,
          wasDamaged: false,
        },
      ],
      ephemeral: false,
    })
  })

  test('with readers only gets the throw-away overlay', () => {
    expect(verdict(genuine({ access: 'ReadOnly' }))).toMatchObject({
      overlays: [{ access: 'ReadOnly' }],
      ephemeral: true,
    })
  })

  test.each([
    ['reads', 'ReadOnly', { ...genResolved(), digest: otherDigest }],
    ['writes, when its status was lost', 'ReadWrite', undefined],
  ] as const)('may mount whatever base the status has, or none, of an overlay that it %s', (_, access, base) => {
    const found = flip(({ overlay }) => Object.assign(overlay?.status ?? {}, { base }), access)
    expect(found).toMatchObject({ overlays: [{ access }] })
  })

  test('takes its overlay over from any image when it follows, else from the one that it has just left', () => {
    const follow = { spec: { overlays: [{ name: 'work', access: 'ReadWrite', base: 'Follow' }] } }
    const left = { previousBase: { reference: 'r@other', digest: otherDigest } }
    expect(flip(() => {})).toMatchObject({ overlays: [{ leaves: [] }] })
    expect(flip(({ instance }) => Object.assign(instance ?? {}, follow))).toMatchObject({
      overlays: [{ leaves: 'any' }],
    })
    expect(flip(({ overlay }) => Object.assign(overlay?.status ?? {}, left))).toMatchObject({
      overlays: [{ leaves: [otherDigest] }],
    })
  })

  test('may read beside other readers, and not beside a writer', () => {
    const beside = (access: 'ReadWrite' | 'ReadOnly') =>
      flip(({ overlay }) => overlay?.status.attachments?.push(heldByOther(access)), 'ReadOnly')
    expect(beside('ReadOnly')).toMatchObject({ overlays: [{ access: 'ReadOnly' }] })
    const message = expect.stringMatching(/instance "dev" \(ReadOnly\) and to instance "other" \(ReadWrite\)/)
    expect(beside('ReadWrite')).toEqual({ reason: 'OverlayNotHeld', final: false, message })
  })

  test('has its overlay looked over anew where errors were left in it', () => {
    const damaged = { type: 'Healthy', status: 'False', reason: 'FileSystemDamaged', message: '' }
    const left = flip(({ overlay }) => Object.assign(overlay?.status ?? {}, { conditions: [damaged] }))
    expect(left).toMatchObject({ overlays: [{ wasDamaged: true }] })
  })

  test('may mount as granted although the spec asks for something else by now', () => {
    expect(flip(({ instance }) => instance?.spec.overlays.splice(0))).toMatchObject({ overlays: [{ name: 'work' }] })
  })

  test('may have sidecars that mount volumes of their own', () => {
    const sidecar = { name: 'sidecar', volumeMounts: [{ name: 'shared', mountPath: '/shared' }] }
    expect(flip(({ pod }) => pod.spec?.containers.push(sidecar))).toMatchObject({ image: grantedImage })
  })
})

describe('forged: no retry can mend it', () => {
  test.each<[string, (whole: Whole) => void, RegExp]>([
    [
      'without the finalizer',
      ({ pod }) => Object.assign(pod.metadata ?? {}, { finalizers: [] }),
      /no finalizer lamina.dev\/release/,
    ],
    [
      'without an owner',
      ({ pod }) => Object.assign(pod.metadata ?? {}, { ownerReferences: [] }),
      /no Instance as its controller/,
    ],
    [
      'with an owner that is not its controller',
      ({ pod }) => Object.assign(pod.metadata?.ownerReferences?.[0] ?? {}, { controller: false }),
      /no Instance as its controller/,
    ],
    [
      "with another group's Instance as its owner",
      ({ pod }) => Object.assign(pod.metadata?.ownerReferences?.[0] ?? {}, { apiVersion: 'lamina.dev.example/v1' }),
      /no Instance as its controller/,
    ],
    [
      'with an owner of another kind',
      ({ pod }) => Object.assign(pod.metadata?.ownerReferences?.[0] ?? {}, { kind: 'PersistentOverlay' }),
      /no Instance as its controller/,
    ],
    [
      'with the uid of another owner',
      ({ pod }) => Object.assign(pod.metadata?.ownerReferences?.[0] ?? {}, { uid: 'uid-else' }),
      /no Instance "dev" with the uid/,
    ],
    ['whose Instance does not exist', (whole) => Object.assign(whole, { instance: undefined }), /no Instance "dev"/],
    [
      'whose Instance is being deleted',
      ({ instance }) => Object.assign(instance?.metadata ?? {}, { deletionTimestamp: '2026-01-01T00:00:00Z' }),
      /"dev" is being deleted/,
    ],
    [
      'beside the one that the Instance has granted',
      ({ pod }) => Object.assign(pod.metadata ?? {}, { name: 'second', uid: 'uid-second' }),
      /has another pod/,
    ],
    [
      "whose volume is another overlay's claim",
      (whole) => Object.assign(volume(whole, 'lamina-0'), { persistentVolumeClaim: { claimName: 'lamina-other' } }),
      /volume lamina-0 is not the claim of overlay "work"/,
    ],
    [
      'whose volume is no claim',
      (whole) => Object.assign(volume(whole, 'lamina-0'), { persistentVolumeClaim: undefined, emptyDir: {} }),
      /volume lamina-0 is not the claim/,
    ],
    [
      'whose container mounts it elsewhere',
      (whole) => Object.assign(main(whole).volumeMounts?.[0] ?? {}, { mountPath: '/mnt' }),
      /does not mount lamina-0 at/,
    ],
    [
      'whose container mounts it twice',
      (whole) => main(whole).volumeMounts?.push({ name: 'lamina-0', mountPath: '/mnt' }),
      /does not mount lamina-0 at .* alone/,
    ],
    [
      'whose container mounts a part of it',
      (whole) => Object.assign(main(whole).volumeMounts?.[0] ?? {}, { subPath: 'planted' }),
      /does not mount lamina-0 at/,
    ],
    [
      'whose container does not mount it',
      (whole) => Object.assign(main(whole), { volumeMounts: [] }),
      /does not mount lamina-0/,
    ],
    [
      'without a container main',
      (whole) => Object.assign(main(whole), { name: 'maim' }),
      /"maim" mounts a volume lamina-/,
    ],
    [
      'with a sidecar that mounts it too',
      ({ pod }) =>
        pod.spec?.containers.push({ name: 'sidecar', volumeMounts: [{ name: 'lamina-0', mountPath: '/raw' }] }),
      /container "sidecar" mounts a volume lamina-/,
    ],
    [
      'with an init container that has it as a device',
      ({ pod }) =>
        pod.spec?.initContainers?.push({ name: 'early', volumeDevices: [{ name: 'lamina-0', devicePath: '/dev/x' }] }),
      /container "early" mounts a volume lamina-/,
    ],
    [
      'with a debug container that mounts it',
      ({ pod }) =>
        Object.assign(pod.spec ?? {}, {
          ephemeralContainers: [{ name: 'debug', volumeMounts: [{ name: 'lamina-0', mountPath: '/raw' }] }],
        }),
      /container "debug" mounts a volume lamina-/,
    ],
  ])('%s', (_what, change, message) => {
    expect(flip(change)).toEqual({ reason: 'NotAnInstance', final: true, message: expect.stringMatching(message) })
  })

  test.each<[string, (whole: Whole) => void]>([
    [
      'is missing',
      ({ pod }) =>
        Object.assign(pod.spec ?? {}, {
          volumes: pod.spec?.volumes?.filter(({ name }) => name !== 'lamina-ephemeral'),
        }),
    ],
    [
      'is a host path',
      (whole) => Object.assign(volume(whole, 'lamina-ephemeral'), { emptyDir: undefined, hostPath: { path: '/etc' } }),
    ],
    [
      'is mounted elsewhere',
      (whole) =>
        Object.assign(main(whole).volumeMounts?.find(({ name }) => name === 'lamina-ephemeral') ?? {}, {
          mountPath: '/x',
        }),
    ],
  ])('a reader whose throw-away volume %s', (_what, change) => {
    expect(flip(change, 'ReadOnly')).toMatchObject({ reason: 'NotAnInstance', final: true })
  })
})

describe('not as it must be, and may mend', () => {
  test.each<[string, (whole: Whole) => void, string, RegExp]>([
    [
      'the grant is not written yet',
      ({ instance }) => Object.assign(instance?.status ?? {}, { pod: undefined }),
      'NotGranted',
      /has not granted/,
    ],
    [
      'the grant is still that of the pod before',
      ({ instance }) => Object.assign(instance?.status.pod ?? {}, { uid: 'uid-before' }),
      'NotGranted',
      /has not granted/,
    ],
    [
      'the grant has no image',
      ({ instance }) => Object.assign(instance?.status ?? {}, { image: undefined }),
      'NotGranted',
      /no resolved image/,
    ],
    [
      'the digest of the image is a path',
      ({ instance }) =>
        Object.assign(instance?.status.image ?? {}, {
          reference: 'r@../../kubelet/pods',
          digest: '../../kubelet/pods',
        }),
      'ImageReferenceInvalid',
      /not repository@digest .*only the Lamina controller writes it/,
    ],
    [
      'the reference of the image has another digest',
      ({ instance }) => Object.assign(instance?.status.image ?? {}, { reference: `--help@sha256:${'b'.repeat(64)}` }),
      'ImageReferenceInvalid',
      /not repository@digest/,
    ],
    [
      'the overlay is gone',
      (whole) => Object.assign(whole, { overlay: undefined }),
      'OverlayGone',
      /no longer the one/,
    ],
    [
      'the overlay was made anew',
      ({ overlay }) => Object.assign(overlay?.metadata ?? {}, { uid: 'uid-new' }),
      'OverlayGone',
      /no longer the one/,
    ],
    [
      'the overlay is held by nobody',
      ({ overlay }) => Object.assign(overlay?.status ?? {}, { attachments: [] }),
      'OverlayNotHeld',
      /not attached/,
    ],
    [
      'the overlay is held by another instance',
      ({ overlay }) => Object.assign(overlay?.status.attachments?.[0] ?? {}, { instanceUID: 'uid-else' }),
      'OverlayNotHeld',
      /not attached to instance "dev"/,
    ],
    [
      'the overlay is held for reading only',
      ({ overlay }) => Object.assign(overlay?.status.attachments?.[0] ?? {}, { access: 'ReadOnly' }),
      'OverlayNotHeld',
      /not attached/,
    ],
    [
      'another instance has the overlay too',
      ({ overlay }) => overlay?.status.attachments?.push(heldByOther('ReadOnly')),
      'OverlayNotHeld',
      /instance "dev" \(ReadWrite\) and to instance "other" \(ReadOnly\), .*: stop one of the two/,
    ],
    [
      'the overlay lies upon another image than the one that was granted',
      ({ overlay }) => Object.assign(overlay?.status.base ?? {}, { reference: 'r@other', digest: otherDigest }),
      'OverlayBaseMismatch',
      /"work" lies upon r@other, and the pod was granted .*@sha256:[0-9a-f]{64}: .*delete it/,
    ],
    ['the claim is gone', (whole) => Object.assign(whole, { claim: undefined }), 'OverlayClaimGone', /is gone/],
    [
      'another claim has its name',
      ({ claim }) => Object.assign(claim?.metadata ?? {}, { uid: 'uid-planted' }),
      'OverlayClaimGone',
      /another has its name/,
    ],
    [
      "the overlay's status does not say which claim is its own",
      ({ overlay }) => Object.assign(overlay?.status ?? {}, { claim: { name: 'lamina-work' } }),
      'OverlayClaimGone',
      /PersistentVolumeClaim/,
    ],
  ])('%s', (_what, change, reason, message) => {
    expect(flip(change)).toEqual({ reason, final: false, message: expect.stringMatching(message) })
  })
})
