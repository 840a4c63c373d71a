import { setTimeout as sleep } from 'node:timers/promises'
import { KubeConfig } from '@kubernetes/client-node'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { conditionOf } from '../../controller/conditions.ts'
import { createController } from '../../controller/controller.ts'
import { readSettings } from '../../controller/settings.ts'
import { createClient, type KubeClient } from '../../kube/client.ts'
import { createLogger } from '../../kube/log.ts'
import { createMetrics } from '../../kube/metrics.ts'
import { instances } from '../../kube/resources.ts'
import { imageReference, testCluster } from './support/cluster.ts'
import { controllerConfig, controllerSettings, scaleController } from './support/controllers.ts'
import { createFixture, type Fixture } from './support/fixture.ts'
import { containerImage, instance, persistentOverlay, promptly } from './support/objects.ts'
import { operatorNamespace } from './support/operator.ts'
import { registrySecret, registrySecretName } from './support/registry.ts'
import { until } from './support/until.ts'

const { cluster, kubectl } = await testCluster()

/** Each event of a watch comes so much after the one before it: a start has half a dozen. */
const lagMs = 1_000

describe('a controller whose watches lag', () => {
  let fixture: Fixture
  let client: KubeClient
  let lags = false
  const stop = new AbortController()
  let ended: Promise<unknown>
  const written: string[] = []

  const noting = (real: KubeClient): KubeClient => ({
    ...real,
    create: (resource, body, namespace) => {
      written.push(`create ${resource.plural}`)
      return real.create(resource, body, namespace)
    },
    apply: (resource, body, options) => {
      written.push(`apply ${resource.plural}`)
      return real.apply(resource, body, options)
    },
    watch: async function* (...args) {
      for await (const event of real.watch(...args)) {
        if (lags) await sleep(lagMs)
        yield event
      }
    },
  })
  const writes = (what: string): number => written.filter((each) => each === what).length

  /** Reasons of the instance's condition Ready, one after the other, as somebody sees them who does not lag. */
  const follow = (name: string) => {
    const seen: string[] = []
    const end = new AbortController()
    const read = async (): Promise<void> => {
      const from = await client.listPage(instances, { namespace: fixture.namespace })
      const options = { namespace: fixture.namespace, resourceVersion: from.resourceVersion, timeoutSeconds: 300 }
      for await (const { type, object } of client.watch(instances, options, end.signal)) {
        if (type === 'BOOKMARK' || type === 'DELETED') continue
        const { metadata, status } = instances.parse(object)
        const { status: ready = 'none', reason = '' } = conditionOf(status.conditions, 'Ready') ?? {}
        if (metadata.name === name && seen.at(-1) !== `${ready} ${reason}`) seen.push(`${ready} ${reason}`)
      }
    }
    const reading = read().catch((error: unknown) => {
      if (!end.signal.aborted) throw error
    })
    return {
      seen,
      end: () => {
        end.abort()
        return reading
      },
    }
  }
  const podOf = async (name: string) => (await kubectl.get(fixture.namespace, 'pod', name)).metadata.uid

  beforeAll(async () => {
    fixture = await createFixture(kubectl, 'stale')
    await fixture.apply(
      registrySecret(cluster),
      containerImage('debian', imageReference(cluster, 'library/debian:12'), { pullSecrets: [registrySecretName] }),
      persistentOverlay('dev'),
    )
    await fixture.ready('containerimage', 'debian')
    await fixture.ready('persistentoverlay', 'dev')
    await scaleController(kubectl, 0)
    const config = new KubeConfig()
    config.loadFromString(await controllerConfig(cluster, kubectl, cluster.layout.ports.apiServer))
    client = createClient(config, { userAgent: 'lamina-test/1' })
    const controller = createController({
      client: noting(client),
      settings: readSettings({ ...(await controllerSettings(kubectl)), POD_NAMESPACE: operatorNamespace }),
      log: createLogger('controller', 'silent'),
      metrics: createMetrics(),
    })
    ended = Promise.all([controller.observe(stop.signal), controller.lead(stop.signal)])
    await until('the caches are filled', async () => controller.unsynced().length === 0)
    lags = true
  })
  afterAll(async () => {
    stop.abort()
    await ended
    await scaleController(kubectl, 1)
    await fixture.destroy()
  })

  test('makes one pod, claims the overlay once, and never says again what it had left behind', async () => {
    const { seen, end } = follow('dev')
    await fixture.apply(instance('dev', { overlays: ['dev'], podTemplate: promptly }))
    await fixture.ready('instance', 'dev')
    const uid = await podOf('dev')
    await sleep(8 * lagMs)
    await end()
    expect(writes('create pods')).toBe(1)
    expect(writes('apply persistentoverlays')).toBeLessThanOrEqual(2)
    expect(await podOf('dev')).toBe(uid)
    expect(seen.at(-1)).toMatch(/^True /)
    expect(seen, 'no turn back').toEqual([...new Set(seen)])
    process.stdout.write(`${seen.join(' → ')}; ${writes('apply instances')} status writes\n`)
  })

  test('stopped and started again: the old pod once gone, one new pod', async () => {
    await fixture.apply(instance('dev', { overlays: ['dev'], podTemplate: promptly, state: 'Stopped' }))
    await until('the pod is gone', async () => (await kubectl.list(fixture.namespace, 'pods')).length === 0)
    await fixture.apply(instance('dev', { overlays: ['dev'], podTemplate: promptly }))
    await fixture.ready('instance', 'dev')
    const uid = await podOf('dev')
    await sleep(8 * lagMs)
    expect(writes('create pods')).toBe(2)
    expect(await podOf('dev')).toBe(uid)
  })
})
