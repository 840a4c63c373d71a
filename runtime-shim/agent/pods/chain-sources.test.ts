import { describe, expect, test } from 'vitest'
import { genuine, type Whole } from '../testing/genuine.ts'
import {
  verdictAfter as flipped,
  mainOf as main,
  nothing,
  verdictOn as verdict,
  volumeOf as volume,
} from '../testing/judged.ts'

/** What chain.test.ts leaves out: images and overlays that lie elsewhere than Lamina puts them. */

describe('a genuine pod', () => {
  test.each([
    ['plain directories, in all of their volume', { format: 'Directory' }, { format: 'Directory', path: '.' }],
    ['a device', { storage: { volumeMode: 'Block' } }, { volumeMode: 'Block', mountPath: '/.lamina/overlays/0' }],
    [
      'an image somewhere on an existing claim',
      { storage: { existingClaimName: 'mine', path: 'a/b.img' } },
      { path: 'a/b.img', existing: true },
    ],
    ['options of its file system', { ext3: { bytesPerInode: 4096 } }, { ext3: { bytesPerInode: 4096 } }],
  ])('may have as its overlay %s', (_, overlay, expected) => {
    expect(verdict(genuine({ overlay }))).toMatchObject({ overlays: [{ name: 'work', ...expected }] })
  })

  test('may run on an image that lies on a volume', () => {
    expect(verdict(genuine({ image: 'volume' }))).toMatchObject({
      image: { volume: { mountPath: '/.lamina/base', path: 'tools.sif' } },
    })
    expect(verdict(genuine())).toMatchObject({ image: { volume: null } })
  })
})

describe('forged: no retry can mend it', () => {
  const block = { overlay: { storage: { volumeMode: 'Block' } } }
  test.each<[string, (whole: Whole) => void]>([
    ['elsewhere', (whole) => Object.assign(main(whole).volumeDevices?.[0] ?? {}, { devicePath: '/dev/x' })],
    ['twice', (whole) => main(whole).volumeDevices?.push({ name: 'lamina-0', devicePath: '/dev/x' })],
    ['not at all', (whole) => Object.assign(main(whole), { volumeDevices: undefined })],
    ['mounted too', (whole) => main(whole).volumeMounts?.push({ name: 'lamina-0', mountPath: '/mnt' })],
  ])('whose container has the device %s', (_what, change) => {
    const message = expect.stringMatching(/does not have the device lamina-0 at .* alone/)
    expect(flipped(block, change)).toEqual({ reason: 'NotAnInstance', final: true, message })
  })

  test('whose container has the volume as a device beside the mount', () => {
    const change = (whole: Whole) =>
      Object.assign(main(whole), { volumeDevices: [{ name: 'lamina-0', devicePath: '/dev/x' }] })
    expect(flipped({}, change)).toMatchObject({ reason: 'NotAnInstance', final: true })
  })

  const baseMount = (whole: Whole) => main(whole).volumeMounts?.find(({ name }) => name === 'lamina-base') ?? {}
  test.each<[string, (whole: Whole) => void]>([
    [
      'of another claim',
      (whole) => Object.assign(volume(whole, 'lamina-base'), { persistentVolumeClaim: { claimName: 'other' } }),
    ],
    ['of no claim', (whole) => Object.assign(volume(whole, 'lamina-base'), { persistentVolumeClaim: undefined })],
    ['writable', (whole) => Object.assign(baseMount(whole), { readOnly: false })],
    ['mounted elsewhere', (whole) => Object.assign(baseMount(whole), { mountPath: '/mnt' })],
    ['a part of it only', (whole) => Object.assign(baseMount(whole), { subPath: 'planted' })],
    [
      'mounted twice',
      (whole) => main(whole).volumeMounts?.push({ name: 'lamina-base', mountPath: '/mnt', readOnly: true }),
    ],
  ])('whose volume of the image is %s', (_what, change) => {
    const message = expect.stringMatching(/does not mount claim images at \/\.lamina\/base alone, read-only/)
    expect(flipped({ image: 'volume' }, change)).toEqual({ reason: 'NotAnInstance', final: true, message })
  })
})

describe('not as it must be, and may mend', () => {
  test.each<[string, (whole: Whole) => void]>([
    ['is gone', (whole) => Object.assign(whole, { base: undefined })],
    ['was made anew', ({ base }) => Object.assign(base?.metadata ?? {}, { uid: 'uid-new' })],
  ])('the claim of the image %s', (_what, change) => {
    const message = expect.stringMatching(/claim images|PersistentVolumeClaim images/)
    expect(flipped({ image: 'volume' }, change)).toEqual({ reason: 'ImageClaimGone', final: false, message })
  })

  test('the image is at another path than that of its digest', () => {
    const change = ({ instance }: Whole) => {
      const image = instance?.status.image
      if (image) image.reference = image.reference.replace('tools.sif', 'other.sif')
    }
    expect(flipped({ image: 'volume' }, change)).toMatchObject({ reason: 'ImageClaimGone' })
  })

  test('the claim has another volumeMode', () => {
    expect(flipped({}, ({ claim }) => Object.assign(claim?.spec ?? {}, { volumeMode: 'Block' }))).toMatchObject({
      reason: 'OverlayVolumeUnsuitable',
      final: false,
    })
  })
})

describe('what the administrator has not allowed is not mounted, whatever the status says', () => {
  test.each<[string, Parameters<typeof genuine>[0], string, string]>([
    ['an image by https', { image: { from: 'https://example.com/x' } }, 'ImageSourceNotAllowed', 'file'],
    ['an image by oras', { image: { from: 'oras://example.com/x' } }, 'ImageSourceNotAllowed', 'file'],
    ['an image on a volume', { image: 'volume' }, 'ImageSourceNotAllowed', 'volume'],
    [
      'an overlay on an existing claim',
      { overlay: { storage: { existingClaimName: 'mine' } } },
      'OverlaySourceNotAllowed',
      'existingClaim',
    ],
  ])('%s', (_what, given, reason, kind) => {
    const message = expect.stringContaining(`allowedSources.${kind}`)
    expect(verdict(genuine(given), nothing)).toEqual({ reason, final: false, message })
    expect(verdict(genuine(given))).toMatchObject({ ephemeral: false })
  })

  test('an ext3 base is left to the mount, which sees what it is', () => {
    expect(verdict(genuine())).toMatchObject({ image: { allowExt3: true } })
    expect(verdict(genuine(), nothing)).toMatchObject({ image: { allowExt3: false } })
  })
})
