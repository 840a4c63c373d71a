import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import * as z from 'zod'
import { imageReference, testCluster } from './support/cluster.ts'
import { createFixture, type Fixture } from './support/fixture.ts'
import type { KubeObject } from './support/kubectl.ts'
import { onNode } from './support/node.ts'
import { containerImage, inNamespace, instance, persistentOverlay, promptly } from './support/objects.ts'
import { registrySecret, registrySecretName } from './support/registry.ts'
import { until } from './support/until.ts'

const { cluster, kubectl } = await testCluster()

const placeholder = z.object({ containers: z.array(z.object({ image: z.string() })) })

/**
 * Forgers have all that a developer in the namespace may do (`edit`), and more:
 * here they are even cluster administrators, bound only by admission policy.
 */
describe('forged pods', () => {
  let fixture: Fixture
  let genuine: KubeObject
  beforeAll(async () => {
    fixture = await createFixture(kubectl, 'forgery')
    await fixture.apply(
      registrySecret(cluster),
      containerImage('debian', imageReference(cluster, 'library/debian:12'), { pullSecrets: [registrySecretName] }),
      persistentOverlay('mine'),
      instance('dev', { overlays: ['mine'], podTemplate: promptly }),
    )
    await fixture.ready('instance', 'dev', 120)
    genuine = await kubectl.get(fixture.namespace, 'pod', 'dev')
  })
  afterAll(() => fixture.destroy())

  const uidOf = async (name: string) => (await fixture.get('instance', name)).metadata.uid ?? ''
  const owner = (uid: string) => ({
    apiVersion: 'lamina.dev/v1alpha1',
    kind: 'Instance',
    name: 'dev',
    uid,
    controller: true,
    blockOwnerDeletion: false,
  })
  const signed = async (uid: string) => ({
    labels: { 'lamina.dev/instance': 'dev' },
    finalizers: ['lamina.dev/release'],
    ownerReferences: [owner(uid)],
  })

  /** A pod that looks like the genuine one to the container runtime: same RuntimeClass, container, mount paths. */
  const forge = (name: string, metadata: object, volume: object = { emptyDir: {} }) =>
    inNamespace(fixture.namespace, {
      apiVersion: 'v1',
      kind: 'Pod',
      metadata: { name, ...metadata },
      spec: {
        runtimeClassName: 'lamina',
        automountServiceAccountToken: false,
        terminationGracePeriodSeconds: 0,
        containers: [
          {
            name: 'main',
            image: placeholder.parse(genuine.spec).containers[0]?.image,
            command: ['/.lamina/init', '-P'],
            volumeMounts: [{ name: 'lamina-0', mountPath: '/.lamina/overlays/0' }],
          },
        ],
        volumes: [{ name: 'lamina-0', ...volume }],
      },
    })

  const create = (pod: object) => kubectl.run(['create', '-f', '-'], { input: JSON.stringify(pod) })

  /** `kubectl describe` has the runtime's words, and the container has never started. */
  const refused = async (pod: string, pattern: RegExp) => {
    await until(
      `kubectl describe says why ${pod} does not run`,
      async () => pattern.test(await kubectl.run(['-n', fixture.namespace, 'describe', 'pod', pod])),
      { describe: () => kubectl.run(['-n', fixture.namespace, 'describe', 'pod', pod]) },
    )
    expect(JSON.stringify((await kubectl.get(fixture.namespace, 'pod', pod)).status)).not.toContain('"started":true')
  }

  const remove = async (pod: string) => {
    const patch = ['patch', 'pod', pod, '--type=merge', '-p', '{"metadata":{"finalizers":null}}']
    await kubectl.run(['-n', fixture.namespace, ...patch])
    await kubectl.run(['-n', fixture.namespace, 'delete', 'pod', pod, '--force', '--grace-period=0'])
  }

  test('the genuine pod runs', async () => {
    expect(await fixture.exec('dev', 'cat', '/etc/debian_version')).toMatch(/^12/)
  })

  test('the claim of an overlay in a pod that the controller did not make is refused at the door', async () => {
    const thief = forge('thief', {}, { persistentVolumeClaim: { claimName: 'lamina-mine' } })
    await expect(create(thief)).rejects.toThrow(/lamina-mine/)
  })

  test.each([
    ['a RuntimeClass without an Instance', 'class-only', async () => ({}), /NotAnInstance/],
    [
      'forged annotations and labels',
      'labelled',
      async () => ({
        labels: genuine.metadata.labels,
        annotations: { 'lamina.dev/overlay': 'mine', 'lamina.dev/template-hash': 'x' },
      }),
      /NotAnInstance/,
    ],
    [
      'an owner without the finalizer',
      'unsigned',
      async () => ({ ownerReferences: [owner(await uidOf('dev'))] }),
      /finalizer/,
    ],
    ['the real owner, of another pod', 'second', async () => signed(await uidOf('dev')), /has another pod/],
  ])('%s: mounts nothing, and kubectl describe says why', async (_, name, metadata, words) => {
    await create(forge(name, await metadata()))
    await refused(name, words)
    await remove(name)
  })

  test('an owner of another uid: mounts nothing, and is collected as garbage', async () => {
    await create(forge('orphan', await signed('00000000-0000-0000-0000-000000000000')))
    await until('it is gone', async () => {
      const { stdout } = await kubectl.try([
        '-n',
        fixture.namespace,
        'get',
        'pod',
        'orphan',
        '-o',
        'json',
        '--ignore-not-found',
      ])
      expect(stdout).not.toContain('"started": true')
      return stdout === ''
    })
  })

  test('the ticket of another pod opens nothing', async () => {
    await create(forge('ticketed', {}))
    const uid = (await kubectl.get(fixture.namespace, 'pod', 'ticketed')).metadata.uid
    const pods = '/run/lamina/pods'
    await onNode(
      cluster,
      'sh',
      '-ec',
      `mkdir -p ${pods}/${uid}; cp ${pods}/${genuine.metadata.uid}/ticket.json ${pods}/${uid}/`,
    )
    await refused('ticketed', /NotAnInstance/)
    await remove('ticketed')
  })

  test("the agent's token is refused for another node's objects", async () => {
    const agent = (await kubectl.list('lamina-system', 'pods', 'app.kubernetes.io/component=agent'))[0]
    const node = String(agent?.spec?.nodeName)
    const serviceAccount = String(agent?.spec?.serviceAccountName)
    const token = (
      await kubectl.run([
        ...['-n', 'lamina-system', 'create', 'token', serviceAccount],
        ...[
          '--bound-object-kind',
          'Pod',
          '--bound-object-name',
          agent?.metadata.name ?? '',
          '--bound-object-uid',
          agent?.metadata.uid ?? '',
        ],
      ])
    ).trim()
    const as = (...args: string[]) => {
      const { ports } = cluster.layout
      return kubectl.try([
        ...['--kubeconfig', '/dev/null', '--server', `https://127.0.0.1:${ports.apiServer}`],
        ...[
          '--certificate-authority',
          `${cluster.layout.stateDir}/pki/ca.crt`,
          '--token',
          token,
          '-n',
          fixture.namespace,
        ],
        ...args,
      ])
    }
    const elsewhere = forge('elsewhere', { finalizers: ['lamina.dev/release'] })
    await create({ ...elsewhere, spec: { ...elsewhere.spec, nodeName: 'another-node' } })
    const removal = ['patch', 'pod', 'elsewhere', '--type=merge', '-p', '{"metadata":{"finalizers":null}}']
    const refused = await as(...removal)
    expect(refused.exitCode).not.toBe(0)
    expect(refused.stderr).toMatch(/node|denied/i)
    expect((await as('get', 'pod', 'dev')).exitCode).toBe(0)
    const nodePatch = (patch: object) => as('patch', 'node', node, '--type=merge', '-p', JSON.stringify(patch))
    expect(await nodePatch({ metadata: { labels: { 'lamina.dev/ready': 'true' } } })).toMatchObject({ exitCode: 0 })
    const cordon = await nodePatch({ spec: { unschedulable: true } })
    expect(cordon.exitCode).not.toBe(0)
    expect(cordon.stderr).toContain('nothing of a node but the label lamina.dev/ready')
    await kubectl.run(['-n', fixture.namespace, ...removal])
    await kubectl.run(['-n', fixture.namespace, 'delete', 'pod', 'elsewhere', '--force', '--grace-period=0'])
  })
})
