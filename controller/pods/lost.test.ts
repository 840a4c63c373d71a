import { describe, expect, test } from 'vitest'
import { genClaim, genNode, genPod } from '../../test/gen/objects.ts'
import { keptBecause, lostBecause } from './lost.ts'

const deleting = { metadata: { deletionTimestamp: '2026-01-01T00:00:00Z' }, claims: ['lamina-work'] }
const onNode = { ...deleting, spec: { nodeName: 'n1' } }
const once = genClaim('lamina-work')
const many = genClaim('lamina-work', { spec: { accessModes: ['ReadWriteMany'] } })
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
    ['the node is gone, and so is the claim that would tell', genPod('dev', onNode), undefined, [undefined]],
    ['it is not being deleted', genPod('dev', { spec: { nodeName: 'n1' } }), undefined, [once]],
  ])('kept: %s', (_, pod, node, claims) => {
    expect(lostBecause(pod, node, claims)).toBeUndefined()
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
