import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join, relative } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { stringify } from 'yaml'
import * as z from 'zod'
import { imageReference, testCluster } from './support/cluster.ts'
import { conditionOf, isReady } from './support/conditions.ts'
import { createFixture, type Fixture } from './support/fixture.ts'
import { createHelm, type Helm } from './support/helm.ts'
import type { KubeObject } from './support/kubectl.ts'
import { containerImage, inNamespace, instance, persistentOverlay, promptly } from './support/objects.ts'
import { registrySecret, registrySecretName } from './support/registry.ts'
import { until } from './support/until.ts'

const { cluster, kubectl } = await testCluster()

const root = join(import.meta.dirname, '../..')
const debianReference = imageReference(cluster, 'library/debian:12')
const debian = containerImage('debian', debianReference, { pullSecrets: [registrySecretName] })
const kinds = ['containerimages', 'persistentoverlays', 'instances']

let fixture: Fixture
let helm: Helm
beforeAll(async () => {
  fixture = await createFixture(kubectl, 'gitops')
  helm = createHelm(cluster, fixture.namespace)
  await fixture.apply(registrySecret(cluster), debian)
})
afterAll(() => fixture.destroy())

describe('helm --wait, of a chart with the three kinds,', () => {
  const chart = join(root, 'examples/environments')
  const values = {
    image: debianReference,
    pullSecrets: [registrySecretName],
    defaults: {
      overlay: { size: '64Mi' },
      instance: { resources: { requests: { cpu: '10m', memory: '64Mi' }, limits: null }, podTemplate: promptly },
    },
    people: { ada: null, grace: null, eve: {}, bob: { instance: { state: 'Stopped' } } },
  }
  const upgrade = (changed: object, timeout: string) =>
    helm(['upgrade', '--install', 'team', chart, '--wait', '--timeout', timeout, '--values', '-'], {
      input: JSON.stringify({ ...values, ...changed }),
    })
  const ofRelease = async () => {
    const names = ['team', 'eve', 'bob']
    const lists = await Promise.all(kinds.map((kind) => kubectl.list(fixture.namespace, kind)))
    return lists.flat().filter(({ metadata }) => names.includes(metadata.name))
  }

  test('returns when all are as the spec asks: running ones run, stopped ones have no pod', async () => {
    expect(await upgrade({}, '2m')).toMatchObject({ exitCode: 0 })
    const objects = await ofRelease()
    expect(objects).toHaveLength(5)
    expect(objects.filter((object) => !isReady(object))).toEqual([])
    expect(await fixture.exec('eve', 'cat', '/etc/debian_version')).toMatch(/^12/)
    expect((await kubectl.list(fixture.namespace, 'pods')).map(({ metadata }) => metadata.name)).toEqual(['eve'])
  })

  test('waits for what a changed spec asks, too', async () => {
    const people = { ...values.people, eve: { instance: { state: 'Stopped' } } }
    expect(await upgrade({ people }, '1m')).toMatchObject({ exitCode: 0 })
    expect(await kubectl.list(fixture.namespace, 'pods')).toEqual([])
  })

  test('fails, naming it, when one of them does not come to be', async () => {
    const { exitCode, stderr } = await upgrade({ image: imageReference(cluster, 'library/debian:absent') }, '5s')
    expect(stderr).toContain('ContainerImage/')
    expect(stderr).toContain('InProgress')
    expect(exitCode).not.toBe(0)
  })

  test('goes back by helm rollback', async () => {
    expect(await helm(['rollback', 'team', '1', '--wait', '--timeout', '2m'])).toMatchObject({ exitCode: 0 })
    expect((await ofRelease()).filter((object) => !isReady(object))).toEqual([])
    expect((await kubectl.get(fixture.namespace, 'pod', 'eve')).status).toMatchObject({ phase: 'Running' })
  })

  test('takes all away but the claims, which hold the data', async () => {
    expect(await helm(['uninstall', 'team', '--wait', '--timeout', '1m'])).toMatchObject({ exitCode: 0 })
    expect(await ofRelease()).toEqual([])
    const claims = (await kubectl.list(fixture.namespace, 'pvc')).map(({ metadata }) => metadata.name)
    expect(claims.toSorted()).toEqual(['lamina-bob', 'lamina-eve'])
  })
})

describe('server-side apply', () => {
  const dev = () => instance('dev', { overlays: ['work'], podTemplate: promptly, env: [{ name: 'A', value: '1' }] })
  const apply = async (manager: string, ...objects: { metadata: object }[]) => {
    const items = objects.map((object) => inNamespace(fixture.namespace, object))
    return kubectl.try(['apply', '--server-side', `--field-manager=${manager}`, '-f', '-'], {
      input: JSON.stringify({ apiVersion: 'v1', kind: 'List', items }),
    })
  }
  const names: [string, string][] = [
    ['containerimage', 'debian-of-git'],
    ['persistentoverlay', 'work'],
    ['instance', 'dev'],
  ]
  const objects = () => Promise.all(names.map(([kind, name]) => fixture.get(kind, name)))
  const all = () => [{ ...debian, metadata: { name: 'debian-of-git' } }, persistentOverlay('work'), dev()]
  /** What the controller still had to say is said. */
  const settled = async (): Promise<KubeObject[]> => {
    let before: KubeObject[] = []
    return until(
      'nothing changes any more',
      async () => {
        const now = await objects()
        const same = JSON.stringify(now) === JSON.stringify(before)
        before = now
        return same && now.every(isReady) && now
      },
      { everyMs: 2_000, seconds: 120 },
    )
  }

  test('by two managers, again and again, changes nothing and is no conflict', async () => {
    for (const manager of ['flux', 'argocd']) expect(await apply(manager, ...all())).toMatchObject({ exitCode: 0 })
    const before = await settled()
    for (const manager of ['flux', 'argocd', 'flux']) {
      expect(await apply(manager, ...all())).toMatchObject({ exitCode: 0 })
    }
    expect(await objects()).toEqual(before)
  })

  test('by two managers lets each have items of its own in a list', async () => {
    const more = { ...dev(), spec: { imageRef: { name: 'debian' }, env: [{ name: 'B', value: '2' }] } }
    expect(await apply('tool', more)).toMatchObject({ exitCode: 0 })
    expect(await apply('flux', dev())).toMatchObject({ exitCode: 0 })
    const { spec } = await fixture.get('instance', 'dev')
    expect(spec).toMatchObject({ env: [{ name: 'A' }, { name: 'B' }] })
  })

  test('that wants another value than its owner is a conflict that names him', async () => {
    const other = { ...dev(), spec: { imageRef: { name: 'other' } } }
    const { exitCode, stderr } = await apply('tool', other)
    expect(stderr).toMatch(/conflict.*"(flux|argocd)".*\.spec\.imageRef\.name/s)
    expect(exitCode).not.toBe(0)
  })

  test('finds nothing of the operator but in status', async () => {
    const managed = z.array(
      z.object({ manager: z.string(), operation: z.string(), subresource: z.string().optional() }),
    )
    for (const [kind, name] of names) {
      const text = await kubectl.run([
        ...['-n', fixture.namespace, 'get', kind, name, '--show-managed-fields'],
        ...['-o', 'jsonpath={.metadata.managedFields}'],
      ])
      const ours = managed.parse(JSON.parse(text)).filter(({ manager }) => manager.startsWith('lamina'))
      expect(ours.length, kind).toBeGreaterThan(0)
      expect(ours.filter(({ operation, subresource }) => operation !== 'Apply' || subresource !== 'status')).toEqual([])
      const { labels, annotations, finalizers, ownerReferences } = (await fixture.get(kind, name)).metadata
      expect({ labels, annotations, finalizers, ownerReferences }).toEqual({})
    }
  })
})

describe('a spec that cannot be fulfilled is seen all the same:', () => {
  const observed = (kind: string, name: string, reason: string) =>
    until(
      `${kind}/${name}: ${reason} of the newest spec`,
      async () => {
        const { status, metadata } = await fixture.get(kind, name)
        const { observedGeneration, ...ready } = conditionOf(await fixture.get(kind, name), 'Ready')
        return (
          ready.reason === reason &&
          status?.observedGeneration === metadata.generation &&
          observedGeneration === metadata.generation &&
          metadata.generation
        )
      },
      { describe: async () => JSON.stringify((await fixture.get(kind, name)).status) },
    )

  test.each([
    {
      kind: 'containerimage',
      reason: 'ImageNotFound',
      first: containerImage('absent', imageReference(cluster, 'library/debian:absent'), {
        pullSecrets: [registrySecretName],
      }),
      second: containerImage('absent', imageReference(cluster, 'library/debian:away'), {
        pullSecrets: [registrySecretName],
      }),
    },
    {
      kind: 'persistentoverlay',
      reason: 'ProvisioningFailed',
      first: persistentOverlay('absent', { storage: { storageClassName: 'nowhere' } }),
      second: persistentOverlay('absent', { reclaimPolicy: 'Delete', storage: { storageClassName: 'nowhere' } }),
    },
    {
      kind: 'instance',
      reason: 'ImageNotFound',
      first: instance('absent', { image: 'nowhere' }),
      second: instance('absent', { image: 'nowhere-else' }),
    },
  ])('observedGeneration of a $kind with $reason', async ({ kind, reason, first, second }) => {
    await fixture.apply(first)
    expect(await observed(kind, 'absent', reason)).toBe(1)
    await fixture.apply(second)
    expect(await observed(kind, 'absent', reason)).toBe(2)
    await fixture.delete(kind, 'absent')
  })
})

describe('kubectl wait', () => {
  test('waits for the newest spec, not for what was true before', async () => {
    await fixture.apply(instance('waited', { podTemplate: promptly }))
    const wait = () =>
      kubectl.run(['-n', fixture.namespace, 'wait', '--for=condition=Ready', 'instance/waited', '--timeout=60s'], {
        timeoutSeconds: 70,
      })
    await wait()
    expect(await fixture.exec('waited', 'true')).toBe('')
    await fixture.apply(instance('waited', { podTemplate: promptly, state: 'Stopped' }))
    await wait()
    expect((await kubectl.try(['-n', fixture.namespace, 'get', 'pod', 'waited'])).stderr).toContain('NotFound')
    await fixture.delete('instance', 'waited')
  })
})

describe('the examples', () => {
  let dir: string
  beforeAll(async () => {
    dir = await mkdtemp(join(tmpdir(), 'lamina-gitops-'))
  })
  afterAll(() => rm(dir, { recursive: true }))

  test("the base of gitops/kustomize, with a person's prefix: apply -k, and it runs", async () => {
    const kustomization = {
      apiVersion: 'kustomize.config.k8s.io/v1beta1',
      kind: 'Kustomization',
      namespace: fixture.namespace,
      namePrefix: 'kim-',
      resources: [relative(dir, join(root, 'gitops/kustomize/base'))],
      patches: [
        {
          target: { kind: 'PersistentOverlay' },
          patch: stringify([{ op: 'replace', path: '/spec/size', value: '64Mi' }]),
        },
        {
          target: { kind: 'Instance' },
          patch: stringify([{ op: 'add', path: '/spec/podTemplate', value: promptly }]),
        },
      ],
    }
    await writeFile(join(dir, 'kustomization.yaml'), stringify(kustomization))
    await kubectl.run(['apply', '-k', dir])
    await fixture.ready('instance', 'kim-dev', 120)
    await fixture.exec('kim-dev', 'touch', '/kept')
    await kubectl.run(['delete', '-k', dir, '--timeout=60s'], { timeoutSeconds: 70 })
  })

  test("Argo CD's health checks, beside what its ConfigMap has already", async () => {
    const own = {
      apiVersion: 'v1',
      kind: 'ConfigMap',
      metadata: { name: 'argocd-cm' },
      data: { url: 'https://argocd' },
    }
    await fixture.apply(own)
    const patch = join(dir, 'patch.yaml')
    const text = await readFile(join(root, 'gitops/argocd/argocd-cm.yaml'), 'utf8')
    await writeFile(patch, text.replace('namespace: argocd', `namespace: ${fixture.namespace}`))
    const keys = async () => {
      const { data } = await fixture.get('configmap', 'argocd-cm')
      return Object.keys(z.record(z.string(), z.string()).parse(data)).toSorted()
    }
    const command = ['-n', fixture.namespace, 'patch', 'configmap', 'argocd-cm', '--type=merge', '--patch-file', patch]
    await kubectl.run(command)
    const both = ['ContainerImage', 'Instance', 'PersistentOverlay']
      .map((kind) => `resource.customizations.health.lamina.dev_${kind}`)
      .concat('url')
    expect(await keys()).toEqual(both)
    await fixture.apply(own)
    expect(await keys()).toEqual(both)
  })
})
