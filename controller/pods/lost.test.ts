import { describe, expect, test } from 'vitest'
import { type CSIDriver, csiDrivers, type PersistentVolume, volumes } from '../../kube/resources.ts'
import { genClaim, genNode, genPod } from '../../test/gen/objects.ts'
import { type HeldVolume, keptBecause, lostBecause } from './lost.ts'

const deleting = { metadata: { deletionTimestamp: '2026-01-01T00:00:00Z' }, claims: ['lamina-work'] }
const onNode = { ...deleting, spec: { nodeName: 'n1' } }
const claim = genClaim('lamina-work')
const sharedClaim = genClaim('lamina-work', { spec: { accessModes: ['ReadWriteMany'] } })
const volume = (spec: object): PersistentVolume => volumes.parse({ metadata: { name: 'pv', uid: 'uid-pv' }, spec })
const driver = (spec: object): CSIDriver => csiDrivers.parse({ metadata: { name: 'd', uid: 'uid-d' }, spec })
const csi = { csi: { driver: 'd', volumeHandle: 'h' } }
const disk = { volume: volume(csi), driver: driver({}) }
const affinity = (...terms: [key: string, ...values: string[]][]) => ({
  nodeAffinity: {
    required: {
      nodeSelectorTerms: terms.map(([key, ...values]) => ({ matchExpressions: [{ key, operator: 'In', values }] })),
    },
  },
})
const once: HeldVolume = { claim, ...disk }
const many: HeldVolume = { claim: sharedClaim, ...disk }
const behind = (spec: object, driverSpec?: object): HeldVolume => ({
  claim,
  volume: volume(spec),
  driver: driverSpec && driver(driverSpec),
})
const hostname = 'kubernetes.io/hostname'
const outOfService = { taints: [{ key: 'node.kubernetes.io/out-of-service', effect: 'NoExecute' }] }

describe('lostBecause: without an agent a pod is released only where fencing is proven', () => {
  test.each([
    ['it was never scheduled', genPod('dev', deleting), undefined, [once], /never scheduled/],
    [
      'its node is tainted out-of-service',
      genPod('dev', onNode),
      genNode('n1', outOfService),
      [many],
      /out-of-service/,
    ],
    ['its node is gone, and one node alone can have the volume', genPod('dev', onNode), undefined, [once], /gone/],
  ])('released: %s', (_, pod, node, claims, why) => {
    expect(lostBecause(pod, node, claims)).toMatch(why)
  })

  test.each([
    ['the node is there', genPod('dev', onNode), genNode('n1'), [once]],
    ['the node is gone, but others can have the volume too', genPod('dev', onNode), undefined, [many]],
    [
      'the node is gone, and so is the claim that would tell',
      genPod('dev', onNode),
      undefined,
      [{ ...once, claim: undefined }],
    ],
    ['it is not being deleted', genPod('dev', { spec: { nodeName: 'n1' } }), undefined, [once]],
  ])('kept: %s', (_, pod, node, claims) => {
    expect(lostBecause(pod, node, claims)).toBeUndefined()
  })
})

describe('of a node that is gone, the volume of a claim for one node', () => {
  test.each<[string, HeldVolume]>([
    ['a driver attaches', behind(csi, { attachRequired: true })],
    ['a driver attaches that does not say so', behind(csi, {})],
    ['Kubernetes attaches', behind({ cinder: { volumeID: 'v' } })],
    ['lies on that node', behind({ local: { path: '/disk' }, ...affinity([hostname, 'n1']) })],
    [
      'a driver has put on that node',
      behind({ ...csi, ...affinity(['topology.d/node', 'n1']) }, { attachRequired: false }),
    ],
  ])('frees the overlay where %s', (_, held) => {
    expect(lostBecause(genPod('dev', onNode), undefined, [held])).toMatch(/its own, or detached/)
    expect(lostBecause(genPod('dev', onNode), undefined, [once, held, many])).toBeUndefined()
  })

  test.each<[string, HeldVolume]>([
    ['a driver mounts without attaching it', behind(csi, { attachRequired: false })],
    ['a driver has that is not there to be asked', behind(csi)],
    ['is NFS', behind({ nfs: { server: 's', path: '/' } })],
    ['is iSCSI', behind({ iscsi: { targetPortal: 't', iqn: 'i', lun: 0 } })],
    ['another node can have too', behind({ nfs: {}, ...affinity([hostname, 'n1', 'n2']) })],
    ['another node can have by another term', behind({ nfs: {}, ...affinity([hostname, 'n1'], [hostname, 'n2']) })],
    ['the zone has', behind({ ...csi, ...affinity(['topology.kubernetes.io/zone', 'a']) }, { attachRequired: false })],
    ['is not there to be asked', { claim, volume: undefined, driver: undefined }],
  ])('does not where it is one that %s', (_, held) => {
    expect(lostBecause(genPod('dev', onNode), undefined, [held])).toBeUndefined()
  })
})

describe('keptBecause names what frees the overlays of a pod that is not released', () => {
  const pod = genPod('dev', onNode)
  const tainted = genNode('n1', outOfService)

  test('its node is there: its agent, or the taint', () => {
    expect(keptBecause(pod, genNode('n1'))).toMatch(
      /node n1 has not released.*taint it node\.kubernetes\.io\/out-of-service/,
    )
    expect(lostBecause(pod, tainted, [many])).toBeDefined()
  })

  test('its node is gone, and cannot be tainted: the node again, or the finalizer taken off', () => {
    const words = keptBecause(pod, undefined)
    expect(words).toMatch(
      /node n1 is gone.*Bring the node back.*machine is off.*"release".*lamina\.dev\/release off pod dev/,
    )
    expect(words).not.toMatch(/taint/)
  })
})
