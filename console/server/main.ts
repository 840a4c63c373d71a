import { once } from 'node:events'
import { readFile } from 'node:fs/promises'
import { createLogger } from '../../kube/log.ts'
import { stopSignal } from '../../kube/stop.ts'
import { loadAssets } from './assets.ts'
import { serveConsole } from './server.ts'
import { readSettings } from './settings.ts'
import { createUpstream } from './upstream.ts'

/** Serves the console: docs/console.md. */
const main = async (): Promise<void> => {
  const { apiServer, caFile, pageDir, port, origins, logLevel } = readSettings(process.env)
  const log = createLogger('console', logLevel)
  const signal = stopSignal(process)
  const server = await serveConsole({
    port,
    origins,
    assets: await loadAssets(pageDir),
    upstream: createUpstream({ ...apiServer, ca: await readFile(caFile, 'utf8') }),
    log,
  })
  await once(signal, 'abort')
  await server.close()
}

main().catch((error: unknown) => {
  process.stderr.write(`${error instanceof Error ? (error.stack ?? error.message) : String(error)}\n`)
  process.exit(1)
})
