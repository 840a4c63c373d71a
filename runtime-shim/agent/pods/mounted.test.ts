import { describe, expect, test } from 'vitest'
import { defaultLayout } from '../../node/layout.ts'
import type { MountRecord, RecordedOverlay } from '../../node/ticket.ts'
import { heldMounts } from './mounted.ts'

const podUID = 'pod-a'
const path = '/var/lib/kubelet/pods/pod-a/volumes/kubernetes.io~csi/pvc-1/mount/overlay.img'
const elsewhere = '/var/lib/kubelet/pods/pod-b/volumes/kubernetes.io~csi/pvc-1/mount/overlay.img'

const record = (overlay: Partial<RecordedOverlay>): MountRecord => ({
  containerID: 'c',
  createTime: '2026-01-01T00:00:00Z',
  overlays: [
    {
      name: 'work',
      uid: 'u',
      access: 'ReadWrite',
      path,
      dev: '1',
      ino: '2',
      loop: { number: 3, diskseq: '70' },
      device: null,
      ext3Offset: 0,
      ...overlay,
    },
  ],
  pidFile: '',
  instance: null,
})
const device = (number: number, diskseq: string, at: string) => ({ number, diskseq, path: at, readOnly: false })
const readOnlyDevice = (number: number, diskseq: string, at: string) => ({
  ...device(number, diskseq, at),
  readOnly: true,
})
const none = { attached: [], mountedDevices: [], own: [], others: [] }
const held = (witnesses: Partial<Parameters<typeof heldMounts>[2]>) =>
  heldMounts(defaultLayout, podUID, { ...none, ...witnesses }).map(({ what }) => what)

describe('a writer', () => {
  const own = [record({})]
  test('holds its overlay while its very attachment is there', () => {
    expect(held({ own, attached: [device(3, '70', path)] })).toEqual(['overlay "work"'])
  })
  test('has let go when the device shows a later attachment', () => {
    expect(held({ own, attached: [device(3, '71', '/somewhere/else')] })).toEqual([])
  })
  test('has let go when the device is gone', () => {
    expect(held({ own })).toEqual([])
  })
  test('is not freed by what another pod claims to have of it', () => {
    const others = [record({ access: 'ReadOnly' })]
    expect(held({ own, others, attached: [device(3, '70', path)] })).toEqual(['overlay "work"'])
  })
  test('that was killed while mounting is looked for by the path of its image', () => {
    const begun = [record({ loop: null })]
    expect(held({ own: begun, attached: [device(5, '80', path)] })).toEqual(['overlay "work"'])
    expect(held({ own: begun, attached: [device(5, '80', elsewhere)] })).toEqual([])
  })
})

describe('a reader', () => {
  const own = [record({ access: 'ReadOnly' })]
  test('holds the device that is its own', () => {
    expect(held({ own, attached: [device(3, '70', path)] })).toEqual(['overlay "work"'])
  })
  test('leaves a shared device to the other pod that has it on record', () => {
    const others = [record({ access: 'ReadOnly', path: elsewhere })]
    expect(held({ own, others, attached: [device(3, '70', path)] })).toEqual([])
  })
  test('does not leave it to a pod with another attachment, or one that has not mounted yet', () => {
    const attached = [device(3, '70', path)]
    const other = record({ access: 'ReadOnly', loop: { number: 3, diskseq: '69' } })
    expect(held({ own, others: [other], attached })).toEqual(['overlay "work"'])
    expect(held({ own, others: [record({ access: 'ReadOnly', loop: null })], attached })).toEqual(['overlay "work"'])
  })
})

describe('a pod without records', () => {
  test('holds an image of its own volumes that is attached all the same', () => {
    expect(held({ attached: [device(9, '90', path)] })).toEqual([path])
  })
  test("holds none of other pods' volumes", () => {
    expect(
      held({ attached: [device(9, '90', elsewhere), device(1, '2', '/var/lib/lamina/images/x/root.squashfs')] }),
    ).toEqual([])
  })
  test('is not stopped by a device that it attached and another reader uses on', () => {
    const others = [record({ access: 'ReadOnly', path: elsewhere, loop: { number: 9, diskseq: '90' } })]
    expect(held({ others, attached: [device(9, '90', path)] })).toEqual([])
  })
})

describe('a block volume', () => {
  const numbers = { major: 8, minor: 16 }
  const onDevice = (access: 'ReadWrite' | 'ReadOnly') =>
    record({ access, path: '/dev/sdb', loop: null, device: numbers })

  test.each(['ReadWrite', 'ReadOnly'] as const)('of one who has it %s is held while it is mounted', (access) => {
    const own = [onDevice(access)]
    expect(held({ own, mountedDevices: [numbers] })).toEqual(['overlay "work"'])
    expect(held({ own })).toEqual([])
  })
  test('is shared by readers, as a loop device is; not with a writer', () => {
    const mountedDevices = [numbers]
    const others = [onDevice('ReadOnly')]
    expect(held({ own: [onDevice('ReadOnly')], others, mountedDevices })).toEqual([])
    expect(held({ own: [onDevice('ReadWrite')], others, mountedDevices })).toEqual(['overlay "work"'])
  })
  test('is not held by another device that is mounted, nor by a loop device over it', () => {
    const own = [onDevice('ReadWrite')]
    const attached = [device(3, '70', '/dev/sdb')]
    expect(held({ own, mountedDevices: [{ major: 8, minor: 17 }], attached })).toEqual([])
  })
})

describe('of format Directory', () => {
  const lock = '/var/lib/kubelet/pods/pod-a/volumes/kubernetes.io~csi/pvc-1/mount/lock.squashfs'

  test('its lock bears witness', () => {
    const own = [record({ path: lock, ext3Offset: null })]
    expect(held({ own, attached: [readOnlyDevice(3, '70', lock)] })).toEqual(['overlay "work"'])
    expect(held({ own })).toEqual([])
  })
  test('the lock counts also without a record, although its device is read-only', () => {
    expect(held({ attached: [readOnlyDevice(3, '70', lock)] })).toEqual([lock])
  })
})

describe('an image on a volume of the pod', () => {
  const image = '/var/lib/kubelet/pods/pod-a/volumes/kubernetes.io~csi/pvc-2/mount/images/tools.sif'

  test('is nobody who writes: another pod may use the same device on', () => {
    expect(held({ attached: [readOnlyDevice(4, '71', image)] })).toEqual([])
    expect(held({ own: [record({})], attached: [readOnlyDevice(4, '71', image)] })).toEqual([])
  })
  test('does not hide an overlay that is mounted', () => {
    const attached = [readOnlyDevice(4, '71', image), device(3, '70', path)]
    expect(held({ own: [record({})], attached })).toEqual(['overlay "work"'])
  })
})
