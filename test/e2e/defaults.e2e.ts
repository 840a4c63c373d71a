import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { parseAllDocuments } from 'yaml'
import * as z from 'zod'
import { imageReference, testCluster } from './support/cluster.ts'
import { createFixture, type Fixture } from './support/fixture.ts'
import { createHelm } from './support/helm.ts'
import { containerImage, inNamespace, instance, persistentOverlay, promptly } from './support/objects.ts'
import { registrySecret, registrySecretName } from './support/registry.ts'
import { until } from './support/until.ts'

const { cluster, kubectl } = await testCluster()

const examples = join(import.meta.dirname, '../../examples')
const policies = join(examples, 'team-defaults/policy.yaml')

let fixture: Fixture
beforeAll(async () => {
  fixture = await createFixture(kubectl, 'defaults')
})
afterAll(() => fixture.destroy())

describe('defaults of a team, by a MutatingAdmissionPolicy and a ConfigMap of its namespace,', () => {
  const manifest = z.looseObject({ kind: z.string(), metadata: z.looseObject({ name: z.string() }) })
  const defaults = (data: Record<string, string>) => ({
    apiVersion: 'v1',
    kind: 'ConfigMap',
    metadata: { name: 'lamina-defaults' },
    data,
  })
  /** The spec that would be stored. */
  const specOf = async (object: { metadata: object }): Promise<unknown> => {
    const flags = ['create', '--dry-run=server', '-o', 'json', '-f', '-']
    const stored = await kubectl.run(flags, { input: JSON.stringify(inNamespace(fixture.namespace, object)) })
    return z.object({ spec: z.unknown() }).parse(JSON.parse(stored)).spec
  }
  const stopped = (spec: object = {}) => instance('unsaved', { state: 'Stopped', ...spec })
  const given = {
    idleTimeoutSeconds: 7200,
    resources: { requests: { cpu: '500m', memory: '2Gi' }, limits: { memory: '2Gi' } },
    podTemplate: {
      spec: {
        priorityClassName: 'interactive',
        nodeSelector: { 'lamina.example/pool': 'vision' },
        tolerations: [{ key: 'lamina.example/pool', operator: 'Equal', value: 'vision' }],
      },
    },
  }

  beforeAll(async () => {
    await kubectl.run(['apply', '-f', policies])
    const team = parseAllDocuments(await readFile(join(examples, 'team-defaults/team.yaml'), 'utf8'))
    const objects = team.map((document) => manifest.parse(document.toJS()))
    await fixture.apply(...objects.filter(({ kind }) => kind !== 'Namespace'))
    await until('the policies are in force', async () => JSON.stringify(await specOf(stopped())).includes('500m'))
  })
  afterAll(async () => {
    await kubectl.run(['delete', '-f', policies])
  })

  test('fill in what an object leaves out', async () => {
    expect(await specOf(stopped())).toMatchObject(given)
    expect(await specOf(persistentOverlay('unsaved'))).toMatchObject({ storage: { storageClassName: 'fast' } })
  })

  test.each([
    ['its processors', { resources: { requests: { cpu: '4' } } }],
    ['its memory', { resources: { limits: { memory: '8Gi' } } }],
    ['when it is idle', { idleTimeoutSeconds: 60 }],
    ['its priority', { podTemplate: { spec: { priorityClassName: 'batch' } } }],
    ['its nodes', { podTemplate: { spec: { nodeSelector: { disk: 'nvme' } } } }],
    ['its tolerations', { podTemplate: { spec: { tolerations: [{ operator: 'Exists' }] } } }],
    ['a sidecar', { podTemplate: { spec: { containers: [{ name: 'proxy', image: 'proxy' }] } } }],
    ['a label', { podTemplate: { metadata: { labels: { of: 'mine' } } } }],
  ])('leave an instance what it says of %s', async (_what, own) => {
    const spec = await specOf(stopped(own))
    expect(spec).toMatchObject(own)
    expect(spec).toHaveProperty(['podTemplate', 'spec', 'priorityClassName'])
    expect(spec).toHaveProperty(['resources', 'requests', 'cpu'])
    expect(spec).toHaveProperty(['podTemplate', 'spec', 'nodeSelector'])
  })

  test('give an overlay on a claim of its own no StorageClass', async () => {
    const own = { storage: { existingClaimName: 'mine' } }
    expect(await specOf(persistentOverlay('unsaved', own))).not.toHaveProperty(['storage', 'storageClassName'])
  })

  test('may be fewer, and are then what an instance runs with; applied again, it does not change', async () => {
    await fixture.apply(
      defaults({ cpu: '20m', memory: '128Mi', storageClassName: 'loop-immediate' }),
      registrySecret(cluster),
      containerImage('debian', imageReference(cluster, 'library/debian:12'), { pullSecrets: [registrySecretName] }),
    )
    await until('the ConfigMap is known', async () => JSON.stringify(await specOf(stopped())).includes('20m'))
    const objects = [persistentOverlay('work'), instance('dev', { overlays: ['work'], podTemplate: promptly })].map(
      (object) => inNamespace(fixture.namespace, object),
    )
    const apply = (manager: string) =>
      kubectl.run(['apply', '--server-side', `--field-manager=${manager}`, '-f', '-'], {
        input: JSON.stringify({ apiVersion: 'v1', kind: 'List', items: objects }),
      })
    await apply('git')
    const { spec, metadata } = await fixture.ready('instance', 'dev', 120)
    expect(spec).toMatchObject({ resources: { requests: { cpu: '20m', memory: '128Mi' } }, podTemplate: promptly })
    expect(JSON.stringify((await kubectl.get(fixture.namespace, 'pod', 'dev')).spec)).toContain('"cpu":"20m"')
    expect((await kubectl.get(fixture.namespace, 'pvc', 'lamina-work')).spec).toMatchObject({
      storageClassName: 'loop-immediate',
    })
    await apply('git')
    await apply('another')
    const again = await fixture.get('instance', 'dev')
    expect(again.spec).toEqual(spec)
    expect(again.metadata.generation).toBe(metadata.generation)
  })

  test("are nobody else's: a namespace without that ConfigMap has none", async () => {
    await fixture.delete('configmap', 'lamina-defaults')
    await until('it is forgotten', async () => !JSON.stringify(await specOf(stopped())).includes('20m'))
    expect(await specOf(stopped())).not.toHaveProperty('resources')
  })
})

describe('defaults in Git', () => {
  let team: Fixture
  beforeAll(async () => {
    team = await createFixture(kubectl, 'defaults-in-git')
  })
  afterAll(() => team.destroy())

  const judged = z.looseObject({ kind: z.string(), metadata: z.object({ name: z.string() }) })
  /** The objects as they would be stored. */
  const judge = async (manifests: string) => {
    const { exitCode, stdout, stderr } = await kubectl.try(
      ['-n', team.namespace, 'create', '--dry-run=server', '--warnings-as-errors', '-o', 'yaml', '-f', '-'],
      { input: manifests },
    )
    expect({ exitCode, stderr }).toEqual({ exitCode: 0, stderr: '' })
    return parseAllDocuments(stdout).map((document) => judged.parse(document.toJS()))
  }

  test('by Kustomize: components say what a team gets, labels who gets more', async () => {
    const rendered = await kubectl.run(['kustomize', join(import.meta.dirname, '../../gitops/kustomize/teams/vision')])
    const objects = await judge(rendered.replaceAll('namespace: vision', `namespace: ${team.namespace}`))
    expect(objects).toHaveLength(5)
    expect(objects.filter(({ kind }) => kind === 'Instance')).toMatchObject([
      {
        metadata: { name: 'ada-dev' },
        spec: {
          imageRef: { name: 'debian' },
          overlays: [{ name: 'ada-work' }],
          resources: { limits: { memory: '16Gi' } },
        },
      },
      { metadata: { name: 'grace-dev' }, spec: { state: 'Stopped', resources: { limits: { memory: '4Gi' } } } },
    ])
  })

  test('by Helm: people by name, and what one of them wants otherwise', async () => {
    const helm = createHelm(cluster, team.namespace)
    const chart = join(examples, 'environments')
    expect(await helm(['lint', '--strict', chart])).toMatchObject({ exitCode: 0 })
    const listed = await helm(['template', 'team', chart, '--set', 'people={ada,grace}'])
    expect(listed).toMatchObject({
      exitCode: 1,
      stderr: expect.stringContaining("at '/people': got array, want object"),
    })
    const objects = await judge((await helm(['template', 'team', chart])).stdout)
    expect(objects).toHaveLength(5)
    expect(objects.filter(({ kind }) => kind === 'Instance')).toMatchObject([
      { metadata: { name: 'ada' }, spec: { state: 'Running', resources: { limits: { memory: '16Gi' } } } },
      { metadata: { name: 'grace' }, spec: { state: 'Stopped', resources: { limits: { memory: '2Gi' } } } },
    ])
  })
})
