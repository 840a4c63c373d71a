import { afterAll, beforeAll, describe, test } from 'vitest'
import { testCluster } from './support/cluster.ts'
import { createFixture, type Fixture } from './support/fixture.ts'
import { instance, persistentOverlay } from './support/objects.ts'
import { as, expectAllowed, expectDenied, pod, requestsIn } from './support/requests.ts'
import { until } from './support/until.ts'

const { cluster, kubectl } = await testCluster()

const node = cluster.layout.node.name
const finalizers = ['lamina.dev/release']

let fixture: Fixture
const { run, create, tryPatch } = requestsIn(kubectl, () => fixture.namespace)
beforeAll(async () => {
  fixture = await createFixture(kubectl, 'admission-agents')
})
afterAll(() => fixture.destroy())

describe("an agent's writes", () => {
  const elsewhere = 'another-node'
  const attachment = {
    instanceUID: 'none',
    instanceName: 'waits',
    access: 'ReadOnly',
    attachTime: '2026-01-01T00:00:00Z',
  }
  beforeAll(async () => {
    await create(as.admin, pod('here', { metadata: { finalizers }, spec: { nodeName: node } }))
    await create(as.admin, pod('there', { metadata: { finalizers }, spec: { nodeName: elsewhere } }))
    // An Instance that wants the overlay and cannot start yet: what it holds stays held.
    await fixture.apply(
      persistentOverlay('held'),
      persistentOverlay('free'),
      instance('waits', { image: 'absent', overlays: ['held'] }),
    )
    const { uid } = (await fixture.get('instance', 'waits')).metadata
    const attachments = [{ ...attachment, instanceUID: uid }]
    await run(as.controller, [
      ...['patch', 'persistentoverlay/held', '--subresource=status', '--type=merge'],
      ...['-p', JSON.stringify({ status: { attachments } })],
    ])
  })
  afterAll(async () => {
    for (const name of ['here', 'there']) {
      await run(as.admin, ['patch', 'pod', name, '--type=merge', '-p', '{"metadata":{"finalizers":null}}'])
    }
  })

  const release = { metadata: { finalizers: null } }
  const condition = (type: string) => ({
    status: { conditions: [{ type, status: 'False', reason: 'Trying', message: 'trying' }] },
  })
  const status = ['--type=strategic', '--subresource=status']

  test('release the pods of its own node', async () => {
    await expectAllowed(tryPatch(as.agentOf(node), 'pod/here', release))
    await expectAllowed(tryPatch(as.agentOf(elsewhere), 'pod/there', release))
    const words = `the agent of node ${elsewhere} may not write pods of node ${node}`
    await expectDenied(tryPatch(as.agentOf(elsewhere), 'pod/here', release), 'agent-pods', words)
  })

  test('need a token that is bound to a node', async () => {
    await expectDenied(tryPatch(as.unboundAgent, 'pod/here', release), 'agent-pods', 'not bound to a node')
  })

  test.each([
    ['labels', { metadata: { labels: { a: 'b' } } }, 'neither the spec nor labels'],
    ['annotations', { metadata: { annotations: { a: 'b' } } }, 'neither the spec nor labels'],
    ['the spec', { spec: { activeDeadlineSeconds: 1 } }, 'neither the spec nor labels'],
    ['other finalizers', { metadata: { finalizers: ['lamina.dev/release', 'a.b/c'] } }, 'no finalizer of a pod but'],
  ])('change nothing else of a pod: %s', async (_what, patch, words) => {
    await expectDenied(tryPatch(as.agentOf(node), 'pod/here', patch), 'agent-pods', words)
  })

  test("tell of a pod's preparation, and of nothing else in its status", async () => {
    const prepared = condition('lamina.dev/Prepared')
    // kubectl reads before it patches; agents do not.
    const who = [...as.agentOf(node), '--as-group', 'system:masters']
    const write = (patch: object) =>
      run(who, ['patch', 'pod/here', '--dry-run=server', '-p', JSON.stringify(patch), ...status])
    await until('the pod has a status', async () => (await fixture.get('pod', 'here')).status?.phase === 'Running')
    await expectAllowed(write(prepared))
    await expectDenied(
      write(condition('Ready')),
      'agent-pods',
      'but the conditions lamina.dev/Prepared and lamina.dev/Idle',
    )
    await expectDenied(
      write({ status: { phase: 'Failed' } }),
      'agent-pods',
      'but the conditions lamina.dev/Prepared and lamina.dev/Idle',
    )
  })

  const usage = {
    usage: {
      ...{ usedBytes: 1, usedInodes: 1, capacityBytes: 2, capacityInodes: 2 },
      observedTime: '2026-01-01T00:00:00Z',
    },
    lastCheckTime: '2026-01-01T00:00:00Z',
  }
  /** As the agent does it: its own fields by server-side apply. */
  const applyStatus = (name: string, content: object) =>
    run(
      as.agentOf(node),
      [
        'apply',
        '--server-side',
        '--force-conflicts',
        '--subresource=status',
        '--dry-run=server',
        '--field-manager=test',
        '-f',
        '-',
      ],
      {
        apiVersion: 'lamina.dev/v1alpha1',
        kind: 'PersistentOverlay',
        metadata: { name, namespace: fixture.namespace },
        status: content,
      },
    )
  const healthy = (type: string) => ({
    conditions: [
      { type, status: 'True', reason: 'Clean', message: 'clean', lastTransitionTime: '2026-01-01T00:00:00Z' },
    ],
  })

  test('tell of the usage and health of an overlay that is held', async () => {
    await expectAllowed(applyStatus('held', { ...usage, ...healthy('Healthy') }))
    await expectDenied(applyStatus('free', usage), 'agent-overlays', 'no instance holds this overlay')
  })

  test.each([
    ['attachments', { attachments: [attachment] }],
    ['the claim', { claim: { name: 'other' } }],
    [
      'the base',
      {
        base: {
          reference: 'a@b',
          digest: `sha256:${'b'.repeat(64)}`,
          platform: { os: 'linux', architecture: 'amd64' },
          config: {},
        },
      },
    ],
    ['the capacity', { capacity: '9Gi' }],
    ['the size', { size: '9Gi' }],
    ['other conditions', healthy('Ready')],
  ])('grant nothing: %s of an overlay', async (_what, content) => {
    await expectDenied(applyStatus('held', content), 'agent-overlays', 'nothing of an overlay but usage')
  })
})

describe("an agent's label on its node", () => {
  const elsewhere = 'another-node'
  const nodeOf = (name: string) => `node/${name}`
  /** kubectl reads before it patches, and nodes are nobody's to read in a namespace; policies ask for the user alone. */
  const asAgent = (name: string) => [...as.agentOf(name), '--as-group', 'system:masters']
  const labelled = (labels: object) => ({ metadata: { labels } })

  test('is set, changed and taken off by the agent of that node', async () => {
    for (const value of ['true', null]) {
      const ready = labelled({ 'lamina.dev/ready': value })
      await expectAllowed(tryPatch(asAgent(node), nodeOf(node), ready))
      const words = `the agent of node ${elsewhere} may not write node ${node}`
      await expectDenied(tryPatch(asAgent(elsewhere), nodeOf(node), ready), 'agent-nodes', words)
      await expectDenied(
        tryPatch([...as.unboundAgent, '--as-group', 'system:masters'], nodeOf(node), ready),
        'agent-nodes',
        'not bound',
      )
    }
    await expectAllowed(tryPatch(as.admin, nodeOf(node), labelled({ mine: 'yes' })))
  })

  test.each([
    ['another label', labelled({ mine: 'yes' })],
    ['a label of Kubernetes', labelled({ 'kubernetes.io/arch': null })],
    ['an annotation', { metadata: { annotations: { mine: 'yes' } } }],
    ['a taint', { spec: { taints: [{ key: 'node.kubernetes.io/out-of-service', effect: 'NoExecute' }] } }],
    ['whether pods are scheduled there', { spec: { unschedulable: true } }],
    ['a finalizer', { metadata: { finalizers: ['a.b/c'] } }],
  ])('is all that it changes: not %s', async (_what, patch) => {
    await expectDenied(tryPatch(asAgent(node), nodeOf(node), patch), 'agent-nodes', 'but the label lamina.dev/ready')
  })

  test('is all that it changes: not the status', async () => {
    const patch = { status: { nodeInfo: { bootID: 'other' } } }
    await expectDenied(
      tryPatch(asAgent(node), nodeOf(node), patch, '--subresource=status'),
      'agent-nodes',
      'but the label lamina.dev/ready',
    )
  })
})
