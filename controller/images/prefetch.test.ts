import { describe, expect, test } from 'vitest'
import { daemonSets } from '../../kube/resources.ts'
import { genImage, genResolved } from '../../test/gen/objects.ts'
import { countsOf, isAsDesired, isOwnedBy, prefetchedVerdict, prefetchOf } from './prefetch.ts'

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
    expect(isOwnedBy(stored(), image)).toBe(true)
    expect(isOwnedBy(stored(), genImage('tools', { metadata: { uid: 'uid-new' } }))).toBe(false)
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
})

describe('how far it is', () => {
  const counts = (
    observedGeneration: number,
    [desiredNumberScheduled, updatedNumberScheduled, numberReady]: number[],
  ) => stored({ observedGeneration, desiredNumberScheduled, updatedNumberScheduled, numberReady }, 2)

  test.each([
    ['nothing is known yet', stored({}, 2), [0, 0], 'False Fetching'],
    ['on its way', counts(2, [3, 3, 2]), [3, 2], 'False Fetching'],
    ['everywhere', counts(2, [3, 3, 3]), [3, 3], 'True AllNodes'],
    ['pods of the digest before count for nothing', counts(1, [3, 3, 3]), [3, 0], 'False Fetching'],
    ['nor while they are being replaced', counts(2, [3, 1, 3]), [3, 1], 'False Fetching'],
    ['no node has the labels', counts(2, [0, 0, 0]), [0, 0], 'False NoNode'],
  ])('%s', (_, daemonSet, [desiredNodes, readyNodes], expected) => {
    expect(countsOf(daemonSet)).toEqual({ desiredNodes, readyNodes })
    const { status, reason } = prefetchedVerdict({ kind: 'there', daemonSet })
    expect(`${status} ${reason}`).toBe(expected)
  })
})
