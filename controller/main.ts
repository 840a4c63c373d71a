import { createClient, loadConfig } from '../kube/client.ts'
import { systemClock } from '../kube/clock.ts'
import { createEventRecorder } from '../kube/events.ts'
import { runAsLeader } from '../kube/leader.ts'
import { createLogger } from '../kube/log.ts'
import { createMetrics } from '../kube/metrics.ts'
import { serveHealth } from '../kube/server.ts'
import { stopSignal } from '../kube/stop.ts'
import { createTerm } from '../kube/term.ts'
import { createController } from './controller.ts'
import { createInstallationWatch } from './installation/watch.ts'
import { readSettings } from './settings.ts'

/** The controller: one of its replicas leads and reconciles, the others keep their caches and wait. */
const main = async (): Promise<void> => {
  const settings = readSettings(process.env)
  const log = createLogger('controller', settings.logLevel)
  const signal = stopSignal(process)
  const metrics = createMetrics()
  const config = loadConfig()
  const term = createTerm(systemClock)
  const client = createClient(config, { metrics, userAgent: 'lamina-controller', mayWrite: term.isOn })
  // Connections of its own: renewals wait neither behind other requests nor while these are held back.
  const elector = createClient(config, { metrics, userAgent: 'lamina-controller-lease', timeoutMs: 5_000 })
  const controller = createController({ client, settings, log, metrics })
  const { deployment, admissionPolicies: guards, namespace, identity: host } = settings
  const events = createEventRecorder(client, { component: 'lamina-controller', host, log })
  const watchInstallation =
    deployment === undefined
      ? undefined
      : createInstallationWatch({ client, events, log, metrics, namespace, deployment, guards })
  const health = await serveHealth({
    port: settings.port,
    metrics,
    log,
    ready: () => controller.unsynced().map((kind) => `${kind}: the first list is not in yet`),
    live: () => [],
  })
  const observed = controller.observe(signal)
  const end = await runAsLeader(
    {
      client: elector,
      term,
      namespace: settings.namespace,
      name: 'lamina-controller',
      identity: settings.identity,
      lead: async (leading) => {
        await Promise.all([controller.lead(leading), watchInstallation?.(leading)])
      },
      log,
      metrics,
    },
    signal,
  )
  if (end === 'lost') {
    log.error('the lease is lost: ending, so that nothing is written that another leader does not expect')
    process.exit(1)
  }
  await observed
  await health.close()
}

main().catch((error: unknown) => {
  process.stderr.write(`${error instanceof Error ? (error.stack ?? error.message) : String(error)}\n`)
  process.exit(1)
})
