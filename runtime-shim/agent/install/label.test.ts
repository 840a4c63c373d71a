import { describe, expect, test } from 'vitest'
import { labelNode, listingOf } from './label.ts'
import { nodeKeeper } from './testing/node-keeper.ts'

describe('the label of the node', () => {
  test('is set when the handler works, and not written again', async () => {
    const { client, node } = nodeKeeper({ zone: 'a' })
    expect(await labelNode(client, 'n', true)).toBe(true)
    expect(await labelNode(client, 'n', true)).toBe(false)
    expect(node).toMatchObject({ labels: { zone: 'a', 'lamina.dev/ready': 'true' }, writes: 1 })
  })

  test('is set to false by a refusal; a node that never had it is left alone', async () => {
    const { client, node } = nodeKeeper({ 'lamina.dev/ready': 'true' })
    expect(await labelNode(client, 'n', false)).toBe(true)
    expect(node.labels).toEqual({ 'lamina.dev/ready': 'false' })
    const never = nodeKeeper({})
    expect(await labelNode(never.client, 'n', false)).toBe(false)
    expect(never.node.writes).toBe(0)
  })

  test("is written over the kubelet's own writes", async () => {
    const { client, node } = nodeKeeper({}, { conflicts: 2 })
    expect(await labelNode(client, 'n', true)).toBe(true)
    expect(node.writes).toBe(1)
  })

  test('of a node that is gone is nobody’s', async () => {
    expect(await labelNode(nodeKeeper({}).client, 'other', true)).toBe(false)
  })
})

describe('what the kubelet lists', () => {
  const listing = (...names: string[]) => ({ status: { runtimeHandlers: names.map((name) => ({ name })) } })

  test('is the handler, or not, or nothing at all where containerd 1 tells it nothing', () => {
    expect(listingOf(listing('', 'runc', 'lamina'))).toBe('listed')
    expect(listingOf(listing('', 'runc'))).toBe('missing')
    expect(listingOf({ status: {} })).toBe('unknown')
    expect(listingOf(undefined)).toBe('unknown')
  })
})
