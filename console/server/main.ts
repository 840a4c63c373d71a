import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { pause, systemClock } from '../../kube/clock.ts'
import { createLogger } from '../../kube/log.ts'
import { stopSignal } from '../../kube/stop.ts'
import { loadAssets } from './assets.ts'
import { type Certificate, serveConsole } from './server.ts'
import { readSettings } from './settings.ts'
import { createUpstream } from './upstream.ts'

/** How often the certificate's files are read again: whoever renews it changes them in place. */
const renewMs = 60_000

const readCertificate = async (dir: string): Promise<Certificate> => ({
  cert: await readFile(join(dir, 'tls.crt'), 'utf8'),
  key: await readFile(join(dir, 'tls.key'), 'utf8'),
})

/** Serves the console: docs/console.md. */
const main = async (): Promise<void> => {
  const { apiServer, caFile, pageDir, tlsDir, port, origins, logLevel } = readSettings(process.env)
  const log = createLogger('console', logLevel)
  const signal = stopSignal(process)
  const server = await serveConsole({
    port,
    origins,
    assets: await loadAssets(pageDir),
    upstream: createUpstream({ ...apiServer, ca: await readFile(caFile, 'utf8') }),
    certificate: tlsDir === undefined ? undefined : await readCertificate(tlsDir),
    log,
  })
  while (!signal.aborted) {
    await pause(systemClock, renewMs, signal)
    if (tlsDir === undefined || signal.aborted) continue
    try {
      server.renew(await readCertificate(tlsDir))
    } catch (error) {
      log.error({ err: error }, `${tlsDir} has no usable certificate: the one from before stays in use`)
    }
  }
  await server.close()
}

main().catch((error: unknown) => {
  process.stderr.write(`${error instanceof Error ? (error.stack ?? error.message) : String(error)}\n`)
  process.exit(1)
})
