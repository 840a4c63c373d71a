import { describe, expect, test } from 'vitest'
import type { KubeClient } from '../../kube/client.ts'
import type { Node, Pod } from '../../kube/resources.ts'
import { genNode, genOverlay, genPod } from '../../test/gen/objects.ts'
import { overdueOf } from './overdue.ts'

const deletionTimestamp = '2026-01-01T12:00:00Z'
const pod = (name: string, metadata: object = { deletionTimestamp }) =>
  genPod(name, { claims: ['lamina-work'], metadata, spec: { nodeName: 'n1' } })
const overlay = genOverlay('work')
const attachment = (instanceName: string) => ({
  ...{ instanceName, instanceUID: `uid-${instanceName}`, access: 'ReadOnly' as const },
  attachTime: '2026-01-01T11:00:00Z',
})

const told = (pods: Pod[], { at = '2026-01-01T12:01:00Z', node }: { at?: string; node?: Node } = {}) => {
  const client: Pick<KubeClient, 'get'> = {
    get: async (resource, { name }) =>
      resource.kind === 'Node' && name === 'n1' && node ? resource.parse(node) : undefined,
  }
  const caches = {
    pods: { get: ({ name }: { name: string }) => pods.find(({ metadata }) => metadata.name === name) },
    instances: { get: () => undefined },
  }
  const context = { client, caches, clock: { now: () => new Date(at) } }
  return overdueOf(
    context,
    overlay,
    pods.map(({ metadata }) => attachment(metadata.name)),
  )
}

describe('holders that should have ended', () => {
  test('are told with the node that is gone, and what frees them', async () => {
    expect(await told([pod('dev')])).toEqual([
      expect.stringMatching(/^pod dev should have ended at 2026-01-01T12:00:00Z: its node n1 is gone/),
    ])
  })

  test('are told with the node that does not answer', async () => {
    expect(await told([pod('dev')], { node: genNode('n1') })).toEqual([
      expect.stringMatching(/node n1 has not released its overlays/),
    ])
  })

  test('are named only when there are few', async () => {
    const words = await told(['a', 'b', 'c', 'd', 'e'].map((name) => pod(name)))
    expect(words).toHaveLength(4)
    expect(words.at(-1)).toBe('and 2 more')
  })

  test.each([
    ['still end', [pod('dev')], '2026-01-01T12:00:59Z'],
    ['run', [pod('dev', {})], '2026-01-01T13:00:00Z'],
    ['are released', [pod('dev', { deletionTimestamp, finalizers: [] })], '2026-01-01T13:00:00Z'],
  ])('are not those that %s', async (_, pods, at) => {
    expect(await told(pods, { at })).toEqual([])
  })
})
