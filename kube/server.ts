import { createServer } from 'node:http'
import type { AddressInfo, Server } from 'node:net'
import type { Logger } from './log.ts'
import type { Metrics } from './metrics.ts'

export interface HealthOptions {
  /** 0 takes a free one. */
  port: number
  /** Address to listen on; all when left out. */
  host?: string | undefined
  metrics: Metrics
  /** Why not ready, a line each; empty when ready. */
  ready(): string[]
  /** Why it should be restarted, a line each; empty when all is well. */
  live(): string[]
  log: Logger
}

/**
 * Serves `/metrics`, `/healthz` and `/readyz`.
 *
 * @throws when the port is taken
 */
export const serveHealth = async (options: HealthOptions): Promise<{ port: number; close(): Promise<void> }> => {
  const { metrics, log } = options
  const verdict = (reasons: string[]) => ({
    status: reasons.length === 0 ? 200 : 503,
    type: 'text/plain; charset=utf-8',
    body: reasons.length === 0 ? 'ok\n' : `${reasons.join('\n')}\n`,
  })
  const answer = async (path: string | undefined) => {
    switch (path) {
      case '/healthz':
        return verdict(options.live())
      case '/readyz':
        return verdict(options.ready())
      case '/metrics':
        return { status: 200, type: metrics.contentType, body: await metrics.text() }
      default:
        return { status: 404, type: 'text/plain; charset=utf-8', body: '/metrics /healthz /readyz\n' }
    }
  }

  const server = createServer(async (request, response) => {
    try {
      const { status, type, body } = await answer(request.url?.split('?', 1)[0])
      response.writeHead(status, { 'content-type': type }).end(body)
    } catch (error) {
      log.error({ err: error }, `${request.url} failed`)
      response.writeHead(500).end()
    }
  })

  const port = await listen(server, options)
  log.info({ port }, 'serving /metrics, /healthz, /readyz')
  return {
    port,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve())
        server.closeAllConnections()
      }),
  }
}

export const isAddressInfo = (address: string | AddressInfo | null): address is AddressInfo =>
  typeof address === 'object' && address !== null

/**
 * Resolves to the port, which the system chooses where 0 is asked.
 *
 * @throws Error of Node's with the code EADDRINUSE, EACCES …
 */
export const listen = async (server: Server, at: { port: number; host?: string | undefined }): Promise<number> => {
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject)
    server.listen(at.port, at.host, resolve)
  })
  const address = server.address()
  return isAddressInfo(address) ? address.port : at.port
}
