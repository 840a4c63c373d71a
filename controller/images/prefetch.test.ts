import { describe, expect, test } from 'vitest'
import { daemonSets, pods } from '../../kube/resources.ts'
import { genImage, genResolved } from '../../test/gen/objects.ts'
import { isChildOf } from '../child.ts'
import { countsOf, isAsDesired, prefetchedVerdict, prefetchOf } from './prefetch.ts'

const spec = {
  source: { registry: { image: 'x', pullSecrets: [{ name: 'registry' }] } },
  prefetch: { nodeSelector: { disk: 'ssd' } },
}
const image = genImage('tools', { spec })
const desired = (letter = 'a', operator = 'lamina:1') => prefetchOf(image, genResolved(letter), operator)

/** As the API server hands it out, with the status of the DaemonSet controller. */
const stored = (status: object = {}, generation = 1) => {
  const { metadata, spec: made } = desired()
  return daemonSets.parse(JSON.parse(JSON.stringify({ metadata: { ...metadata, generation }, spec: made, status })))
}

describe('the DaemonSet of a prefetch', () => {
  test('goes with its image', () => {
    expect(desired().metadata).toMatchObject({
      name: 'lamina-prefetch-tools',
      namespace: 'team',
      labels: { 'lamina.dev/prefetch': 'tools' },
      ownerReferences: [{ kind: 'ContainerImage', name: 'tools', uid: 'uid-tools', controller: true }],
    })
    expect(isChildOf(stored(), image)).toBe(true)
    expect(isChildOf(stored(), genImage('tools', { metadata: { uid: 'uid-new' } }))).toBe(false)
  })

  test('has pods on the nodes asked, of the platform, where the handler works', () => {
    expect(desired().spec.template.spec).toMatchObject({
      runtimeClassName: 'lamina',
      nodeSelector: {
        disk: 'ssd',
        'kubernetes.io/os': 'linux',
        'kubernetes.io/arch': 'amd64',
        'lamina.dev/ready': 'true',
      },
    })
  })

  test('has pods that the agent knows, which wait for it as instances do, and then idle', () => {
    const { metadata, spec: made } = desired().spec.template
    expect(metadata.labels).toMatchObject({ 'lamina.dev/prefetch': 'tools' })
    expect(made).toMatchObject({
      automountServiceAccountToken: false,
      initContainers: [
        { name: 'prepare', volumeMounts: [{ name: 'lamina-pull-0', mountPath: '/.lamina/pull/0', readOnly: true }] },
      ],
      containers: [{ name: 'hold', image: 'lamina:1', command: ['catatonit', '-P'] }],
      volumes: [{ name: 'lamina-pull-0', secret: { secretName: 'registry' } }],
    })
  })

  test('is rolled for another digest and another operator, and otherwise left alone', () => {
    expect(isAsDesired(stored(), desired())).toBe(true)
    expect(isAsDesired(stored(), desired('b'))).toBe(false)
    expect(isAsDesired(stored(), desired('a', 'lamina:2'))).toBe(false)
  })

  test('is left alone by what it is where others have taken our mark off, or set defaults', () => {
    const unmarked = stored()
    const { metadata } = unmarked
    const bare = (spec: object) => daemonSets.parse({ metadata: { ...metadata, annotations: {} }, spec })
    expect(isAsDesired(bare({ ...unmarked.spec, revisionHistoryLimit: 10 }), desired())).toBe(true)
    expect(isAsDesired(bare({ ...unmarked.spec }), desired('b'))).toBe(false)
    expect(isAsDesired(bare({}), desired())).toBe(false)
  })
})

describe('how far it is', () => {
  const counts = (
    observedGeneration: number,
    [desiredNumberScheduled, updatedNumberScheduled, numberReady]: number[],
  ) => stored({ observedGeneration, desiredNumberScheduled, updatedNumberScheduled, numberReady }, 2)

  const everywhere = {
    ...{ currentNumberScheduled: 4, numberMisscheduled: 0, desiredNumberScheduled: 4 },
    ...{ updatedNumberScheduled: 4, numberReady: 4 },
  }
  test.each([
    ['nothing is known yet', stored({}, 2), [0, 0], 'False Fetching'],
    ['on its way', counts(2, [3, 3, 2]), [3, 2], 'False Fetching'],
    ['everywhere', counts(2, [3, 3, 3]), [3, 3], 'True AllNodes'],
    ['pods of the digest before count for nothing', counts(1, [3, 3, 3]), [3, 0], 'False Fetching'],
    ['nor while they are being replaced', counts(2, [3, 1, 3]), [3, 1], 'False Fetching'],
    ['no node has the labels', counts(2, [0, 0, 0]), [0, 0], 'False NoNode'],
  ])('%s', (_, daemonSet, [desiredNodes, readyNodes], expected) => {
    expect(countsOf(daemonSet, [])).toEqual({ desiredNodes, readyNodes })
    const { status, reason } = prefetchedVerdict({ kind: 'there', daemonSet, pods: [] })
    expect(`${status} ${reason}`).toBe(expected)
  })

  describe('by what the agents tell in the conditions of its pods', () => {
    const daemonSet = counts(2, [4, 4, 1])
    const { reference } = genResolved()
    const podOn = (nodeName: string, reason: string | undefined, { ready = false, of = reference, more = {} } = {}) =>
      pods.parse({
        metadata: {
          ...{ name: `lamina-prefetch-tools-${nodeName}`, namespace: 'team', uid: `uid-${nodeName}` },
          annotations: { 'lamina.dev/image-reference': of },
          ownerReferences: [{ apiVersion: 'apps/v1', kind: 'DaemonSet', name: 'x', uid: 'uid-daemonset' }],
          ...more,
        },
        spec: { nodeName, containers: [] },
        status: {
          conditions: [
            { type: 'Ready', status: ready ? 'True' : 'False' },
            ...(reason
              ? [{ type: 'lamina.dev/Prepared', status: 'False', reason, message: `why on ${nodeName}` }]
              : []),
          ],
        },
      })
    const there = { ...daemonSet, metadata: { ...daemonSet.metadata, uid: 'uid-daemonset' } }
    const told = (given: ReturnType<typeof podOn>[]) =>
      prefetchedVerdict({ kind: 'there', daemonSet: there, pods: given })

    test('what keeps most nodes is the reason, and on how many', () => {
      expect(
        told([
          podOn('node-3', 'ImageNotConverted'),
          podOn('node-1', 'ImageNotConverted'),
          podOn('node-2', 'ImageNoSpace'),
          podOn('node-4', undefined, { ready: true }),
        ]),
      ).toEqual({
        ...{ type: 'Prefetched', status: 'False', reason: 'ImageNotConverted' },
        message:
          '1 of 4 nodes have the image; on node-1 and 1 more: ImageNotConverted: why on node-1; ' +
          'on node-2: ImageNoSpace: why on node-2: kubectl logs -c prepare -l lamina.dev/prefetch=tools tells more',
      })
    })

    test('one that is under way is Fetching, and tells how far it is', () => {
      expect(told([podOn('node-1', 'ImagePending')])).toMatchObject({
        reason: 'Fetching',
        message: expect.stringContaining('on node-1: ImagePending: why on node-1'),
      })
    })

    test('pods of the digest before, those that end and those of others tell nothing', () => {
      expect(
        told([
          podOn('node-1', 'ImageNoSpace', { of: 'before' }),
          podOn('node-2', 'ImageNoSpace', { more: { deletionTimestamp: '2026-01-01T00:00:00Z' } }),
          podOn('node-3', 'ImageNoSpace', { more: { ownerReferences: [] } }),
        ]),
      ).toMatchObject({ reason: 'Fetching' })
    })

    test('a node whose image had to leave the cache has it no more', () => {
      const lost = [podOn('node-1', 'ImageNoSpace', { ready: true })]
      expect(countsOf({ ...there, status: { ...there.status, ...everywhere } }, lost).readyNodes).toBe(3)
    })
  })
})
