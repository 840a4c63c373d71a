import { cp, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { parse, stringify } from 'yaml'
import * as z from 'zod'
import { installOperator } from '../cluster/operator.ts'
import { imageReference, testCluster } from './support/cluster.ts'
import { createFixture, type Fixture } from './support/fixture.ts'
import { createHelm } from './support/helm.ts'
import { containerImage, instance, persistentOverlay, promptly } from './support/objects.ts'
import { operatorNamespace } from './support/operator.ts'
import { registrySecret, registrySecretName } from './support/registry.ts'
import { until } from './support/until.ts'

const { cluster, kubectl } = await testCluster()

const helm = createHelm(cluster, operatorNamespace)
const presentChart = join(import.meta.dirname, '../../charts/lamina')

const crdSchema = z.looseObject({
  spec: z.looseObject({
    versions: z.tuple([
      z.looseObject({
        schema: z.looseObject({
          openAPIV3Schema: z.looseObject({
            properties: z.looseObject({
              spec: z.looseObject({ properties: z.record(z.string(), z.unknown()) }),
            }),
          }),
        }),
      }),
    ]),
  }),
})
const fieldsOf = (crd: z.infer<typeof crdSchema>) =>
  crd.spec.versions[0].schema.openAPIV3Schema.properties.spec.properties

/** What the version before did not have. */
const newField = 'envFrom'
const previousVersion = '0.0.9'

/** This tree's chart as an earlier version would have been: another version, and an Instance without a field. */
const makePreviousChart = async (dir: string): Promise<void> => {
  await cp(presentChart, dir, { recursive: true })
  const metadata = join(dir, 'Chart.yaml')
  const text = await readFile(metadata, 'utf8')
  await writeFile(metadata, text.replace(/^version: .*$/m, `version: ${previousVersion}`))
  const crdFile = join(dir, 'files/crds/lamina.dev_instances.yaml')
  const crd = crdSchema.parse(parse(await readFile(crdFile, 'utf8')))
  delete fieldsOf(crd)[newField]
  await writeFile(crdFile, stringify(crd))
}

const running = z.object({
  containerStatuses: z.tuple([
    z.object({
      name: z.literal('main'),
      containerID: z.string(),
      restartCount: z.literal(0),
      state: z.object({ running: z.object({ startedAt: z.string() }) }),
    }),
  ]),
})

describe('helm upgrade from the version before, and helm rollback to it, while an instance runs', () => {
  let fixture: Fixture
  let dir: string
  let previousRevision = ''
  const dev = (spec: object = {}) => instance('dev', { overlays: ['work'], podTemplate: promptly, ...spec })

  /** The pod, its container and the process in it, and what the overlay's status says of its use. */
  const present = async () => {
    const pod = await kubectl.get(fixture.namespace, 'pod', 'dev')
    const { claim, base, attachments } = (await fixture.get('persistentoverlay', 'work')).status ?? {}
    const { pod: ownPod, image, overlays, startTime } = (await fixture.get('instance', 'dev')).status ?? {}
    const [, startTicks] = /^\d+ \(.*\) (?:\S+ ){19}(\d+) /.exec(await fixture.exec('dev', 'cat', '/proc/1/stat')) ?? []
    expect(startTicks).toBeDefined()
    return {
      podUID: pod.metadata.uid,
      container: running.parse(pod.status).containerStatuses[0],
      startTicks,
      overlay: { claim, base, attachments },
      instance: { pod: ownPod, image, overlays, startTime },
    }
  }
  const hasNewField = async () =>
    newField in
    fieldsOf(crdSchema.parse(JSON.parse(await kubectl.run(['get', 'crd', 'instances.lamina.dev', '-o', 'json']))))
  /** Pods of controller and agent that are to stay, by the chart that made them. */
  const chartsOfPods = async () => {
    const pods = await kubectl.list(operatorNamespace, 'pods', 'app.kubernetes.io/name=lamina')
    return pods
      .filter(({ metadata }) => metadata.deletionTimestamp === undefined)
      .map(({ metadata }) => metadata.labels?.['helm.sh/chart'])
  }
  /** The label keeps the next installation from taking this one for its own. */
  const upgrade = async (chart: string, label: string): Promise<void> => {
    const flags = ['--reset-then-reuse-values', '--labels', `lamina-chart=${label}`, '--wait', '--timeout', '2m']
    expect(await helm(['upgrade', 'lamina', chart, ...flags])).toMatchObject({ exitCode: 0 })
  }

  beforeAll(async () => {
    dir = await mkdtemp(join(tmpdir(), 'lamina-previous-'))
    await makePreviousChart(dir)
    await upgrade(dir, 'previous')
    const { stdout } = await helm(['history', 'lamina', '--max', '1', '-o', 'json'])
    previousRevision = String(z.tuple([z.object({ revision: z.number() })]).parse(JSON.parse(stdout))[0].revision)
    fixture = await createFixture(kubectl, 'upgrade')
    await fixture.apply(
      registrySecret(cluster),
      { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'settings' }, data: { FROM_MAP: 'yes' } },
      containerImage('debian', imageReference(cluster, 'library/debian:12'), { pullSecrets: [registrySecretName] }),
      persistentOverlay('work'),
      dev(),
    )
    await fixture.ready('instance', 'dev', 120)
    await fixture.exec('dev', 'sh', '-c', 'echo kept > /kept')
  })
  afterAll(async () => {
    await installOperator(cluster, () => {})
    await rm(dir, { recursive: true })
    await fixture.destroy()
  })

  test('the version before is what runs', async () => {
    expect(await chartsOfPods()).toEqual([`lamina-${previousVersion}`, `lamina-${previousVersion}`])
    expect(await hasNewField()).toBe(false)
  })

  test('the upgrade rolls both parts and brings the new schema; the instance runs on, with its status', async () => {
    const before = await present()
    await upgrade(presentChart, 'upgraded')
    expect(await chartsOfPods()).not.toContain(`lamina-${previousVersion}`)
    expect(await hasNewField()).toBe(true)
    await fixture.ready('instance', 'dev')
    expect(await present()).toEqual(before)
  })

  test('what is new can be used at once', async () => {
    await fixture.apply(dev({ envFrom: [{ configMapRef: { name: 'settings' } }] }))
    await fixture.end('dev')
    await fixture.apply(dev({ envFrom: [{ configMapRef: { name: 'settings' } }] }))
    await fixture.ready('instance', 'dev', 120)
    expect(await fixture.exec('dev', 'sh', '-c', 'echo $FROM_MAP; cat /kept')).toBe('yes\nkept')
  })

  test('the rollback brings the old schema back; the instance runs on as it was started', async () => {
    const before = await present()
    expect(await helm(['rollback', 'lamina', previousRevision, '--wait', '--timeout', '2m'])).toMatchObject({
      exitCode: 0,
    })
    expect(await chartsOfPods()).toEqual([`lamina-${previousVersion}`, `lamina-${previousVersion}`])
    expect(await hasNewField()).toBe(false)
    await fixture.ready('instance', 'dev')
    expect(await present()).toEqual(before)
    expect(await fixture.exec('dev', 'sh', '-c', 'echo $FROM_MAP')).toBe('yes')
  })

  test('and its next start is as the old version makes it, with the same files', async () => {
    await fixture.apply(dev({ state: 'Stopped' }))
    await until('its pod is gone', async () => (await kubectl.list(fixture.namespace, 'pods')).length === 0)
    await fixture.apply(dev())
    await fixture.ready('instance', 'dev', 120)
    expect(await fixture.exec('dev', 'sh', '-c', 'echo "[$FROM_MAP]"; cat /kept')).toBe('[]\nkept')
  })
})
