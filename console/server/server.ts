import {
  createServer as createHttpServer,
  type IncomingMessage,
  type RequestListener,
  type ServerResponse,
} from 'node:http'
import { createServer as createHttpsServer } from 'node:https'
import type { Duplex } from 'node:stream'
import type { Logger } from '../../kube/log.ts'
import { listen } from '../../kube/server.ts'
import { type Admitted, admit, isRefusal, type Refusal, refusal } from './admission.ts'
import { guards, refuse } from './answers.ts'
import { type Asset, sendAsset } from './assets.ts'
import { forward } from './forward.ts'
import { type Route, routeOf } from './routes.ts'
import type { Upstream } from './upstream.ts'
import { joinWebSocket, refuseSocket } from './web-socket.ts'

export interface ConsoleOptions {
  /** 0 takes a free one. */
  port: number
  /** Address to listen on; all when left out. */
  host?: string
  assets: ReadonlyMap<string, Asset>
  /** Of the page; empty: whichever the request's `Host` says. */
  origins: readonly string[]
  upstream: Upstream
  /** HTTPS with it; HTTP without. */
  certificate?: Certificate | undefined
  log: Logger
}

/** In PEM. */
export interface Certificate {
  cert: string
  key: string
}

export interface Console {
  port: number
  /** Uses another certificate from now on. */
  renew(certificate: Certificate): void
  close(): Promise<void>
}

const isForApiServer = (target: string): boolean => target.startsWith('/api')

/**
 * Serves the page at `/`, its few requests to the API server at `/api…`, and `/healthz`.
 *
 * @throws when the port is taken, or the certificate is none
 */
export const serveConsole = async (options: ConsoleOptions): Promise<Console> => {
  const { assets, origins, upstream, certificate, log } = options
  const joined = new Set<Duplex>()

  const vet = (request: IncomingMessage, isWebSocket: boolean): { route: Route; admitted: Admitted } | Refusal => {
    const { method = '', url: target = '', headers } = request
    const route = routeOf({ method, target, isWebSocket })
    if (!route) return refusal(404, 'NotFound', 'the console passes on only what its page asks for')
    const admitted = admit({ headers, isWebSocket, changes: method !== 'GET' }, origins)
    return isRefusal(admitted) ? admitted : { route, admitted }
  }

  const passOn = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    const vetted = vet(request, false)
    if (isRefusal(vetted)) refuse(response, vetted)
    else await forward(request, response, { upstream, route: vetted.route, token: vetted.admitted.token })
  }

  const answer = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    const { method = '', url: target = '' } = request
    if (isForApiServer(target)) return passOn(request, response)
    const asset = assets.get(target.split('?', 1)[0] ?? '')
    if (method !== 'GET' && method !== 'HEAD') refuse(response, refusal(405, 'MethodNotAllowed', 'GET only'))
    else if (target === '/healthz') response.writeHead(200, { 'content-type': 'text/plain' }).end('ok\n')
    else if (asset) sendAsset(request, response, asset)
    else response.writeHead(404, { ...guards, 'content-type': 'text/plain' }).end('not found\n')
  }

  const listener: RequestListener = async (request, response) => {
    try {
      await answer(request, response)
    } catch (error) {
      // Neither query nor headers: they may hold what is nobody else's.
      const what = `${request.method} ${request.url?.split('?', 1)[0]}`
      if (response.destroyed) return
      log.error({ err: error }, `${what}: no answer from the API server`)
      if (response.headersSent) response.destroy()
      else refuse(response, refusal(502, 'BadGateway', `the API server did not answer: ${String(error)}`))
    }
  }
  const secure = certificate && createHttpsServer(certificate, listener)
  const server = secure ?? createHttpServer(listener)
  server.on('upgrade', (request, socket, first) => {
    socket.on('error', () => socket.destroy())
    joined.add(socket)
    socket.once('close', () => joined.delete(socket))
    const isWebSocket = request.headers.upgrade?.toLowerCase() === 'websocket'
    const vetted = isWebSocket ? vet(request, true) : refusal(400, 'BadRequest', 'only a WebSocket can be asked for')
    if (isRefusal(vetted)) refuseSocket(socket, vetted)
    else joinWebSocket(request, socket, first, { upstream, ...vetted })
  })

  const port = await listen(server, options)
  log.info({ port }, 'serving the console')
  return {
    port,
    renew: (renewed) => secure?.setSecureContext(renewed),
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve())
        server.closeAllConnections()
        for (const socket of joined) socket.destroy()
        upstream.agent.destroy()
      }),
  }
}
