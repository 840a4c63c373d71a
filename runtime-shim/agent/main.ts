/**
 * The node's agent: installs the runtime, then serves the node's pods.
 *
 * usage: agent.cjs
 *        agent.cjs uninstall    takes the runtime off the node again, unless instances are there
 *        agent.cjs --version
 */
import { dirname } from 'node:path'
import * as z from 'zod'
import { allowedSourcesField } from '../../kube/allowed-sources.ts'
import { createClient, loadConfig } from '../../kube/client.ts'
import { createEventRecorder } from '../../kube/events.ts'
import { createLogger } from '../../kube/log.ts'
import { createMetrics } from '../../kube/metrics.ts'
import { serveHealth } from '../../kube/server.ts'
import { stopSignal } from '../../kube/stop.ts'
import manifest from '../../package.json' with { type: 'json' }
import { defaultLayout } from '../node/layout.ts'
import { createAgent } from './agent.ts'
import { cacheLimitFields, cacheLimitsOf } from './cache/limits.ts'
import { keepHandler } from './install/handler.ts'
import { hostOf } from './install/host.ts'
import { uninstall } from './install/uninstall.ts'

const environmentSchema = z.object({
  NODE_NAME: z.string().min(1),
  PORT: z.coerce.number().int().min(0).max(65_535).default(9808),
  ALLOWED_SOURCES: allowedSourcesField,
  KUBELET_DIR: z.string().startsWith('/').default(defaultLayout.kubeletDir),
  /** Name or path of the OCI runtime that the launcher becomes; empty: as the node's ordinary pods have it. */
  UNDERLYING_RUNTIME: z.string().default(''),
  ...cacheLimitFields,
  LOG_LEVEL: z.enum(['trace', 'debug', 'info', 'warn', 'error']).default('info'),
})

const serve = async (): Promise<void> => {
  const environment = environmentSchema.parse(process.env)
  const { NODE_NAME: nodeName, PORT: port, LOG_LEVEL: level, ALLOWED_SOURCES: allowedSources } = environment
  const log = createLogger('agent', level)
  const signal = stopSignal(process)
  const metrics = createMetrics()
  const client = createClient(loadConfig(), { metrics, userAgent: 'lamina-agent' })
  const layout = { ...defaultLayout, kubeletDir: environment.KUBELET_DIR }
  const cacheLimits = cacheLimitsOf(environment)
  const agent = createAgent({ client, allowedSources, cacheLimits, layout, nodeName, log, metrics })
  let handlerMissing = ['the runtime handler is not installed on this node yet']
  const health = await serveHealth({
    port,
    metrics,
    log,
    ready: () => [...handlerMissing, ...(agent.isSynced() ? [] : ['pods: the first list is not in yet'])],
    live: () => [],
  })
  const running = agent.run(signal)
  const appDir = dirname(process.argv[1] ?? '')
  const events = createEventRecorder(client, { component: 'lamina-agent', host: nodeName, log })
  const underlying = environment.UNDERLYING_RUNTIME
  const kept = keepHandler(
    { host: hostOf(), layout, appDir, underlying, client, events, nodeName, log, signal },
    (trouble) => {
      handlerMissing = trouble ? [`the runtime handler is not installed on this node: ${trouble}`] : []
    },
  )
  await Promise.all([running, kept])
  await health.close()
}

const takeOff = (): Promise<void> => {
  const { NODE_NAME: nodeName } = environmentSchema.parse(process.env)
  return uninstall(defaultLayout, createClient(loadConfig(), { userAgent: 'lamina-agent' }), nodeName)
}

const main = async (): Promise<void> => {
  switch (process.argv[2]) {
    case '--version':
      process.stdout.write(`${manifest.version}\n`)
      return
    case 'uninstall':
      return takeOff()
    case undefined:
      return serve()
    default:
      throw new Error(`agent.cjs has no command "${process.argv[2]}": uninstall is the only one`)
  }
}

main().catch((error: unknown) => {
  process.stderr.write(`${error instanceof Error ? (error.stack ?? error.message) : String(error)}\n`)
  process.exit(1)
})
