import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { z } from 'zod'
import { sandboxImage } from '../cluster/components.ts'
import { testCluster } from './support/cluster.ts'
import { createFixture, type Fixture } from './support/fixture.ts'
import type { Outcome } from './support/kubectl.ts'
import { containerImage, inNamespace, instance, persistentOverlay } from './support/objects.ts'
import { agentUser, controllerUser } from './support/operator.ts'
import { until } from './support/until.ts'

const { cluster, kubectl } = await testCluster()

const node = cluster.layout.nodeName
const developer = 'developer'
/** Impersonations: what kubectl does is judged as theirs. */
const as = {
  admin: [],
  developer: ['--as', developer],
  controller: ['--as', controllerUser, '--as-group', 'system:masters'],
  agentOf: (name: string) => ['--as', agentUser, '--as-user-extra', `authentication.kubernetes.io/node-name=${name}`],
  unboundAgent: ['--as', agentUser],
}

let fixture: Fixture
beforeAll(async () => {
  fixture = await createFixture(kubectl, 'admission')
  await fixture.apply({
    apiVersion: 'rbac.authorization.k8s.io/v1',
    kind: 'RoleBinding',
    metadata: { name: 'developers' },
    roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'ClusterRole', name: 'edit' },
    subjects: [{ apiGroup: 'rbac.authorization.k8s.io', kind: 'User', name: developer }],
  })
})
afterAll(() => fixture.destroy())

const run = (who: string[], args: string[], input?: object) =>
  kubectl.try(['-n', fixture.namespace, ...who, ...args], input ? { input: JSON.stringify(input) } : {})

const create = (who: string[], object: Record<string, unknown> & { metadata: object }, ...flags: string[]) =>
  run(who, ['create', '-f', '-', ...flags], inNamespace(fixture.namespace, object))

/** A merge patch that is judged and not stored. */
const tryPatch = (who: string[], object: string, patch: object, ...flags: string[]) =>
  run(who, ['patch', object, '--type=merge', '--dry-run=server', '-p', JSON.stringify(patch), ...flags])

const expectAllowed = async (outcome: Promise<Outcome>): Promise<void> => {
  expect(await outcome).toMatchObject({ exitCode: 0, stderr: '' })
}
const expectDenied = async (outcome: Promise<Outcome>, policy: string, words: string): Promise<void> => {
  const { exitCode, stderr } = await outcome
  expect(stderr).toContain(`ValidatingAdmissionPolicy 'lamina-${policy}'`)
  expect(stderr).toContain(words)
  expect(exitCode).not.toBe(0)
}

const pod = (name: string, { metadata = {}, spec = {} }: { metadata?: object; spec?: object } = {}) => ({
  apiVersion: 'v1',
  kind: 'Pod',
  metadata: { name, ...metadata },
  spec: {
    terminationGracePeriodSeconds: 0,
    containers: [{ name: 'main', image: sandboxImage, imagePullPolicy: 'Never' }],
    ...spec,
  },
})
const withClaim = (claimName: string) => ({
  volumes: [{ name: 'lamina-0', persistentVolumeClaim: { claimName } }],
})
const finalizers = ['lamina.dev/release']

test('the policies compile against the kinds that they judge', async () => {
  const statusSchema = z.object({
    status: z.object({ typeChecking: z.object({ expressionWarnings: z.unknown().optional() }) }),
  })
  const policies = JSON.parse(
    await kubectl.run(['get', 'validatingadmissionpolicies', '-l', 'app.kubernetes.io/name=lamina', '-o', 'json']),
  )
  expect(policies.items).toHaveLength(6)
  for (const policy of policies.items) {
    expect(statusSchema.parse(policy).status.typeChecking.expressionWarnings).toBeUndefined()
  }
})

describe("an overlay's claim", () => {
  beforeAll(async () => {
    await create(as.controller, pod('genuine', { spec: withClaim('lamina-mine') }))
  })

  test('is mounted by pods that the controller makes, and by no others', async () => {
    const thief = pod('thief', { spec: withClaim('lamina-mine') })
    await expectDenied(create(as.admin, thief, '--dry-run=server'), 'claims', 'claim lamina-mine holds an overlay')
    await expectDenied(create(as.developer, thief, '--dry-run=server'), 'claims', 'claim lamina-mine holds an overlay')
    await expectAllowed(create(as.controller, thief, '--dry-run=server'))
    await expectAllowed(create(as.developer, pod('other', { spec: withClaim('mine') }), '--dry-run=server'))
  })

  test('is not mounted by way of a Deployment either', async () => {
    const { spec } = pod('unused', { spec: withClaim('lamina-mine') })
    const labels = { app: 'thief' }
    await fixture.apply({
      apiVersion: 'apps/v1',
      kind: 'Deployment',
      metadata: { name: 'thief' },
      spec: { selector: { matchLabels: labels }, template: { metadata: { labels }, spec } },
    })
    await until('the ReplicaSet says why it has no pod', async () =>
      (await kubectl.run(['-n', fixture.namespace, 'get', 'events'])).includes('claim lamina-mine holds an overlay'),
    )
  })

  test('is not reached by another image in a pod that has it', async () => {
    const image = { spec: { containers: [{ name: 'main', image: 'other' }] } }
    await expectDenied(
      tryPatch(as.developer, 'pod/genuine', image, '--type=strategic'),
      'claims',
      'so its images stay as they are',
    )
    await expectAllowed(tryPatch(as.developer, 'pod/genuine', { metadata: { labels: { mine: 'yes' } } }))
  })

  test('is not mounted by a debug container', async () => {
    const debug = async (who: string[], mounts: object[]) => {
      const { spec, ...rest } = await kubectl.get(fixture.namespace, 'pod', 'genuine')
      const container = { name: 'debug', image: sandboxImage, volumeMounts: mounts }
      const path = `/api/v1/namespaces/${fixture.namespace}/pods/genuine/ephemeralcontainers?dryRun=All`
      return run(who, ['replace', '--raw', path, '-f', '-'], {
        ...rest,
        spec: { ...spec, ephemeralContainers: [container] },
      })
    }
    await expectDenied(
      debug(as.admin, [{ name: 'lamina-0', mountPath: '/x' }]),
      'claims',
      'a debug container may not mount volumes named lamina-*, here claim lamina-mine',
    )
    await expectAllowed(debug(as.admin, []))
  })

  test('is not filled from elsewhere but by an administrator', async () => {
    const claim = (name: string, source: object) => ({
      apiVersion: 'v1',
      kind: 'PersistentVolumeClaim',
      metadata: { name },
      spec: { accessModes: ['ReadWriteOnce'], resources: { requests: { storage: '1Gi' } }, ...source },
    })
    const clone = { dataSource: { kind: 'PersistentVolumeClaim', name: 'crafted' } }
    for (const source of [clone, { volumeName: 'chosen' }]) {
      const filled = claim('lamina-new', source)
      await expectDenied(create(as.developer, filled, '--dry-run=server'), 'claim-sources', 'claim lamina-new')
      await expectAllowed(create(as.admin, filled, '--dry-run=server'))
      await expectAllowed(create(as.developer, claim('new', source), '--dry-run=server'))
    }
    await expectAllowed(create(as.developer, claim('lamina-new', {}), '--dry-run=server'))
  })
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
    await run(as.admin, ['patch', 'pod', 'held', '--type=merge', '-p', '{"metadata":{"finalizers":null}}'])
  })

  test('is not taken off by who may otherwise edit the pod', async () => {
    const removal = { metadata: { finalizers: null } }
    await expectDenied(tryPatch(as.developer, 'pod/held', removal), 'release', "is the operator's")
    await expectAllowed(tryPatch(as.controller, 'pod/held', removal))
    await expectAllowed(tryPatch(as.admin, 'pod/held', removal))
    await expectAllowed(tryPatch(as.developer, 'pod/held', { metadata: { labels: { mine: 'yes' } } }))
  })

  test('is not put on by others: they could not take it off again', async () => {
    const held = pod('forged', { metadata: { finalizers } })
    await expectDenied(create(as.developer, held, '--dry-run=server'), 'release', "is the operator's")
    await expectAllowed(create(as.controller, held, '--dry-run=server'))
    await expectAllowed(create(as.developer, pod('plain'), '--dry-run=server'))
  })
})

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
    await expectDenied(write(condition('Ready')), 'agent-pods', 'but the condition lamina.dev/Prepared')
    await expectDenied(write({ status: { phase: 'Failed' } }), 'agent-pods', 'but the condition lamina.dev/Prepared')
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
      { base: { reference: 'a@b', digest: 'b', platform: { os: 'linux', architecture: 'amd64' }, config: {} } },
    ],
    ['the capacity', { capacity: '9Gi' }],
    ['other conditions', healthy('Ready')],
  ])('grant nothing: %s of an overlay', async (_what, content) => {
    await expectDenied(applyStatus('held', content), 'agent-overlays', 'nothing of an overlay but usage')
  })
})
