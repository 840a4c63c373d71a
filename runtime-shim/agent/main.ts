/**
 * The node's agent: installs the runtime, then serves the node's pods.
 *
 * usage: agent.cjs
 *        agent.cjs uninstall    takes the runtime off the node again, unless instances are there
 *        agent.cjs --version
 */
import { dirname } from 'node:path'
import * as z from 'zod'
import { createClient, loadConfig } from '../../kube/client.ts'
import { createLogger } from '../../kube/log.ts'
import { createMetrics } from '../../kube/metrics.ts'
import { serveHealth } from '../../kube/server.ts'
import { stopSignal } from '../../kube/stop.ts'
import manifest from '../../package.json' with { type: 'json' }
import { defaultLayout } from '../node/layout.ts'
import { createAgent } from './agent.ts'
import { installHandler } from './install/handler.ts'
import { uninstall } from './install/uninstall.ts'

const environmentSchema = z.object({
  NODE_NAME: z.string().min(1),
  PORT: z.coerce.number().int().min(0).max(65_535).default(9808),
  LOG_LEVEL: z.enum(['trace', 'debug', 'info', 'warn', 'error']).default('info'),
})

const serve = async (): Promise<void> => {
  const { NODE_NAME: nodeName, PORT: port, LOG_LEVEL: level } = environmentSchema.parse(process.env)
  const log = createLogger('agent', level)
  const signal = stopSignal(process)
  const metrics = createMetrics()
  const client = createClient(loadConfig(), { metrics, userAgent: 'lamina-agent' })
  const layout = defaultLayout
  const agent = createAgent({ client, layout, nodeName, log, metrics })
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
  await installHandler({ layout, appDir, client, nodeName, log, signal }, (why) => {
    handlerMissing = [`the runtime handler is not installed on this node yet: ${why}`]
  })
  handlerMissing = []
  await running
  await health.close()
}

const main = async (): Promise<void> => {
  switch (process.argv[2]) {
    case '--version':
      process.stdout.write(`${manifest.version}\n`)
      return
    case 'uninstall':
      return uninstall(defaultLayout)
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
