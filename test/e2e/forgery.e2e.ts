import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { imageReference, testCluster } from './support/cluster.ts'
import { createFixture, type Fixture } from './support/fixture.ts'
import type { KubeObject } from './support/kubectl.ts'
import { containerImage, inNamespace, instance, persistentOverlay, promptly } from './support/objects.ts'
import { registrySecret, registrySecretName } from './support/registry.ts'
import { until } from './support/until.ts'

const { cluster, kubectl } = await testCluster()

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

  /** The genuine pod's spec under another name, unbound, with what the forger changes. */
  const forge = (name: string, metadata: object, volumes?: object[]) => {
    const { nodeName: _, nodeSelector: __, serviceAccount: ___, ...spec } = { ...genuine.spec }
    const text = JSON.stringify({ ...spec, ...(volumes ? { volumes } : {}) })
    const parsed = JSON.parse(text)
    delete parsed.initContainers
    return { apiVersion: 'v1', kind: 'Pod', metadata: { name, ...metadata }, spec: parsed }
  }
  const noClaims = [
    { name: 'lamina-0', emptyDir: {} },
    { name: 'lamina-pull-0', emptyDir: {} },
  ]

  const eventsSay = async (pod: string, pattern: RegExp) => {
    const words = await until(
      `kubectl describe says why ${pod} does not run`,
      async () => {
        const description = await kubectl.run(['-n', fixture.namespace, 'describe', 'pod', pod])
        return pattern.test(description) && description
      },
      { seconds: 150 },
    )
    expect(words).toMatch(pattern)
    const pods = await kubectl.get(fixture.namespace, 'pod', pod)
    expect(JSON.stringify(pods.status)).not.toContain('"started":true')
  }

  test('the genuine pod runs', async () => {
    expect(await fixture.exec('dev', 'cat', '/etc/debian_version')).toMatch(/^12/)
  })

  test('a volume of `lamina-*` in a pod that the controller did not make is refused at the door', async () => {
    const pod = forge('thief', {})
    const { exitCode, stderr } = await kubectl.try(['apply', '-f', '-'], {
      input: JSON.stringify(inNamespace(fixture.namespace, pod)),
    })
    expect(exitCode).not.toBe(0)
    expect(stderr).toContain('lamina-mine')
  })

  test.each([
    ['a RuntimeClass without an Instance', 'classonly', () => ({})],
    [
      'forged annotations and labels',
      'labelled',
      () => ({
        labels: genuine.metadata.labels,
        annotations: { 'lamina.dev/overlay': 'mine', 'lamina.dev/ticket': 'yes' },
      }),
    ],
    [
      'a forged owner',
      'owned',
      () => ({
        finalizers: ['lamina.dev/release'],
        ownerReferences: [
          {
            apiVersion: 'lamina.dev/v1alpha1',
            kind: 'Instance',
            name: 'dev',
            uid: '00000000-0000-0000-0000-000000000000',
            controller: true,
          },
        ],
      }),
    ],
    [
      'the real owner, but another pod than the granted one',
      'second',
      async () => ({
        finalizers: ['lamina.dev/release'],
        ownerReferences: [
          {
            apiVersion: 'lamina.dev/v1alpha1',
            kind: 'Instance',
            name: 'dev',
            uid: (await fixture.get('instance', 'dev')).metadata.uid,
            controller: false,
          },
        ],
      }),
    ],
  ])('%s: mounts nothing, and kubectl describe says why', async (_what, name, metadata) => {
    const pod = inNamespace(fixture.namespace, forge(name, await metadata(), noClaims))
    await kubectl.run(['create', '-f', '-'], { input: JSON.stringify(pod) })
    await eventsSay(name, /lamina: (?!no leave)|no leave to mount/)
    await kubectl.run([
      '-n',
      fixture.namespace,
      'patch',
      'pod',
      name,
      '--type=merge',
      '-p',
      '{"metadata":{"finalizers":null}}',
    ])
    await kubectl.run(['-n', fixture.namespace, 'delete', 'pod', name, '--force', '--grace-period=0'])
  })

  test("the agent's token is refused for another node's objects", async () => {
    const agent = (await kubectl.list('lamina-system', 'pods', 'app.kubernetes.io/component=agent'))[0]
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
    const elsewhere = { ...forge('elsewhere', { finalizers: ['lamina.dev/release'] }, noClaims) }
    elsewhere.spec.nodeName = 'another-node'
    delete elsewhere.spec.nodeSelector
    await kubectl.run(['create', '-f', '-'], { input: JSON.stringify(inNamespace(fixture.namespace, elsewhere)) })
    const removal = ['patch', 'pod', 'elsewhere', '--type=merge', '-p', '{"metadata":{"finalizers":null}}']
    const refused = await as(...removal)
    expect(refused.exitCode).not.toBe(0)
    expect(refused.stderr).toMatch(/node|denied/i)
    expect((await as('get', 'pod', 'dev')).exitCode).toBe(0)
    await kubectl.run(['-n', fixture.namespace, ...removal])
    await kubectl.run(['-n', fixture.namespace, 'delete', 'pod', 'elsewhere', '--force', '--grace-period=0'])
  })
})
