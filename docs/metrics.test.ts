import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { KubeConfig } from '@kubernetes/client-node'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { createInstallationWatch } from '../controller/installation/watch.ts'
import { allowedSourcesField } from '../kube/allowed-sources.ts'
import { createClient } from '../kube/client.ts'
import { createMetrics } from '../kube/metrics.ts'
import { silentLog } from '../kube/testing/silent-log.ts'
import { createAgent } from '../runtime-shim/agent/agent.ts'

const page = readFileSync(join(import.meta.dirname, 'metrics.md'), 'utf8')
const rows = [...page.matchAll(/^\| `([a-z_]+)(?:\{[a-z, ]+\})?` \| (\w+) \| (.*) \|$/gm)].map(
  ([, name = '', type = '', help = '']) => ({ name, type, help }),
)

/** Of what Prometheus reads; without the process's own, which the library describes. */
const metricsIn = (text: string) =>
  [...text.matchAll(/^# HELP (\S+) (.*)\n# TYPE \S+ (\w+)$/gm)]
    .map(([, name = '', help = '', type = '']) => ({ name, type, help: help.replace(/\.$/, '') }))
    .filter(({ name }) => !/^(process|nodejs)_/.test(name))

describe('the table of metrics', () => {
  let dir: string
  beforeAll(() => {
    dir = mkdtempSync(join(tmpdir(), 'lamina-metrics-'))
  })
  afterAll(() => rmSync(dir, { recursive: true }))

  test('has those of agent and controller, and no others', async () => {
    const config = new KubeConfig()
    config.loadFromClusterAndUser(
      { name: 'none', server: 'http://127.0.0.1:9', skipTLSVerify: false },
      { name: 'nobody' },
    )
    const metrics = createMetrics()
    createAgent({
      ...{ metrics, log: silentLog, nodeName: 'n', allowedSources: allowedSourcesField.parse('{}') },
      client: createClient(config, { metrics, userAgent: 'test' }),
      cacheLimits: { maxBytes: Number.POSITIVE_INFINITY, highPercent: 85, lowPercent: 75 },
      layout: { installDir: dir, stateDir: dir, cacheDir: dir, kubeletDir: dir },
    })
    createInstallationWatch({
      ...{ metrics, log: silentLog, namespace: 'n', deployment: 'd', guards: [], events: { event: () => {} } },
      client: createClient(config, { metrics, userAgent: 'test' }),
    })
    const byName = (one: { name: string }, other: { name: string }) => (one.name < other.name ? -1 : 1)
    expect(rows.toSorted(byName)).toEqual(metricsIn(await metrics.text()).toSorted(byName))
  })
})

test('the ports are those of the chart', () => {
  const values = readFileSync(join(import.meta.dirname, '../charts/lamina/values.yaml'), 'utf8')
  const portOf = (component: string) =>
    new RegExp(`^${component}:\\n(?: .*\\n)*?  port: (\\d+)$`, 'm').exec(values)?.[1]
  for (const component of ['controller', 'agent']) {
    expect(page).toMatch(new RegExp(`^\\| ${component} \\|.*\\b${portOf(component)}\\b`, 'm'))
  }
})
