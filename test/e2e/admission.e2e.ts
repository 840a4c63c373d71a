import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import * as z from 'zod'
import { testCluster } from './support/cluster.ts'
import { createFixture, type Fixture } from './support/fixture.ts'
import { containerImage, instance, persistentOverlay } from './support/objects.ts'
import { as, expectAllowed, expectDenied, letDeveloperEdit, pod, requestsIn } from './support/requests.ts'

const { cluster, kubectl } = await testCluster()

const node = cluster.layout.node.name
const finalizers = ['lamina.dev/release']

let fixture: Fixture
const { run, create, tryPatch } = requestsIn(kubectl, () => fixture.namespace)
beforeAll(async () => {
  fixture = await createFixture(kubectl, 'admission')
  await letDeveloperEdit(fixture)
})
afterAll(() => fixture.destroy())

test('the policies compile against the kinds that they judge', async () => {
  const statusSchema = z.object({
    status: z.object({ typeChecking: z.object({ expressionWarnings: z.unknown().optional() }) }),
  })
  const policies = JSON.parse(
    await kubectl.run(['get', 'validatingadmissionpolicies', '-l', 'app.kubernetes.io/name=lamina', '-o', 'json']),
  )
  expect(policies.items).toHaveLength(12)
  for (const policy of policies.items) {
    expect(statusSchema.parse(policy).status.typeChecking.expressionWarnings).toBeUndefined()
  }
})

describe('status', () => {
  test.each([
    ['containerimage', containerImage('owned', 'debian:12')],
    ['persistentoverlay', persistentOverlay('owned')],
    ['instance', instance('owned', { state: 'Stopped' })],
  ])('of a %s is written by the operator alone, not even by administrators', async (kind, object) => {
    await fixture.apply(object)
    const write = (who: string[]) =>
      tryPatch(who, `${kind}/owned`, { status: { observedGeneration: 7 } }, '--subresource=status')
    await expectDenied(write(as.admin), 'status', 'only the operator writes it')
    await expectDenied(
      write(['--as', 'someone', '--as-group', 'system:masters']),
      'status',
      'only the operator writes it',
    )
    await expectAllowed(write(as.controller))
    // It would have to pass its own policy too; of the other kinds it writes nothing.
    if (kind !== 'persistentoverlay') {
      await expectDenied(write([...as.agentOf(node), '--as-group', 'system:masters']), 'status', 'only the operator')
    }
  })

  test('in a new object is not taken over', async () => {
    const forged = { ...instance('forged', { state: 'Stopped' }), status: { pod: { name: 'forged', uid: 'forged' } } }
    const { stdout } = await create(as.admin, forged, '--dry-run=server', '-o', 'json')
    expect(JSON.parse(stdout).status).toEqual({ observedGeneration: -1 })
  })
})

describe('the finalizer lamina.dev/release', () => {
  beforeAll(async () => {
    await create(as.controller, pod('held', { metadata: { finalizers } }))
  })
  afterAll(async () => {
    const removal = ['--type=merge', '-p', '{"metadata":{"finalizers":null}}']
    for (const name of ['held', 'bound']) await run(as.admin, ['patch', 'pod', name, ...removal])
  })

  test('is not taken off by who may otherwise edit the pod', async () => {
    const removal = { metadata: { finalizers: null } }
    await expectDenied(tryPatch(as.developer, 'pod/held', removal), 'release', "is the operator's")
    await expectAllowed(tryPatch(as.controller, 'pod/held', removal))
    await expectAllowed(tryPatch(as.admin, 'pod/held', removal))
    await expectAllowed(tryPatch(as.developer, 'pod/held', { metadata: { labels: { mine: 'yes' } } }))
  })

  test('is not taken off by a kubelet, which writes the status of its pods and with it their finalizers', async () => {
    await create(as.controller, pod('bound', { metadata: { finalizers }, spec: { nodeName: node } }))
    const { metadata: stored, ...rest } = await fixture.get('pod', 'bound')
    // The node's own kubelet writes to it at the same time.
    const { resourceVersion: _, ...metadata } = stored
    const path = `/api/v1/namespaces/${fixture.namespace}/pods/bound/status?dryRun=All`
    const replace = (object: object) => run(as.kubeletOf(node), ['replace', '--raw', path, '-f', '-'], object)
    await expectDenied(replace({ ...rest, metadata: { ...metadata, finalizers: [] } }), 'release', "is the operator's")
    await expectAllowed(replace({ ...rest, metadata }))
  })

  test('is not put on by others: they could not take it off again', async () => {
    const held = pod('forged', { metadata: { finalizers } })
    await expectDenied(create(as.developer, held, '--dry-run=server'), 'release', "is the operator's")
    await expectAllowed(create(as.controller, held, '--dry-run=server'))
    await expectAllowed(create(as.developer, pod('plain'), '--dry-run=server'))
  })
})

describe('a pod whose overlays may be in use', () => {
  const owners = async () => [
    {
      apiVersion: 'lamina.dev/v1alpha1',
      kind: 'Instance',
      name: 'owner',
      uid: (await fixture.get('instance', 'owner')).metadata.uid,
      controller: true,
    },
  ]
  const foreign = { apiVersion: 'v1', kind: 'ConfigMap', name: 'foreign', uid: 'foreign' }
  beforeAll(async () => {
    await fixture.apply(instance('owner', { image: 'absent' }))
    const metadata = { finalizers, labels: { 'lamina.dev/instance': 'owner' }, ownerReferences: await owners() }
    await create(as.controller, pod('owned', { metadata }))
    await create(as.controller, pod('released', { metadata: { labels: metadata.labels } }))
  })
  afterAll(async () => {
    await run(as.admin, ['patch', 'pod', 'owned', '--type=merge', '-p', '{"metadata":{"finalizers":null}}'])
  })

  test.each([
    ['removed', null],
    ['changed', 'other'],
  ])('keeps the label by which the controller finds it: it is not %s', async (_how, label) => {
    const patch = { metadata: { labels: { 'lamina.dev/instance': label } } }
    const words = 'the label lamina.dev/instance stays'
    for (const who of [as.developer, as.admin, as.garbageCollector]) {
      await expectDenied(tryPatch(who, 'pod/owned', patch), 'instance-pods', words)
    }
    await expectDenied(tryPatch(as.developer, 'pod/owned', patch, '--subresource=status'), 'instance-pods', words)
    await expectAllowed(tryPatch(as.controller, 'pod/owned', patch))
    await expectAllowed(tryPatch(as.developer, 'pod/released', patch))
    await expectAllowed(tryPatch(as.developer, 'pod/owned', { metadata: { labels: { mine: 'yes' } } }))
  })

  test('keeps its Instance as its owner, whatever other owners it gets', async () => {
    const [owner] = await owners()
    const words = 'ownerReferences of kind Instance stay'
    for (const ownerReferences of [null, [foreign], [{ ...owner, controller: false }], [{ ...owner, uid: 'other' }]]) {
      const patch = { metadata: { ownerReferences } }
      await expectDenied(tryPatch(as.developer, 'pod/owned', patch), 'instance-pods', words)
      await expectDenied(tryPatch(as.admin, 'pod/owned', patch), 'instance-pods', words)
      await expectAllowed(tryPatch(as.controller, 'pod/owned', patch))
    }
    await expectAllowed(tryPatch(as.developer, 'pod/owned', { metadata: { ownerReferences: [owner, foreign] } }))
  })

  test('is orphaned by the garbage collector, and still found by its label', async () => {
    await fixture.delete('instance', 'owner', '--cascade=orphan')
    const { metadata } = await fixture.get('pod', 'owned')
    expect(metadata).not.toHaveProperty('ownerReferences')
    expect(metadata.labels).toMatchObject({ 'lamina.dev/instance': 'owner' })
  })
})
