import { type IncomingMessage, STATUS_CODES } from 'node:http'
import { request as httpsRequest } from 'node:https'
import type { Duplex } from 'node:stream'
import { pipeline } from 'node:stream'
import { type Admitted, type Refusal, refusal } from './admission.ts'
import { guards, statusJson } from './answers.ts'
import type { Route } from './routes.ts'
import { headersFor, type Upstream } from './upstream.ts'

/** Finds out that a side is gone although it never said so: a browser's, when its machine has gone to sleep. */
const keepAliveMs = 30_000

/** For the API server's answer to the handshake; exec waits for the node. */
const timeoutMs = 30_000

const head = (line: string, headers: Record<string, string>): string =>
  [`HTTP/1.1 ${line}`, ...Object.entries(headers).map(([name, value]) => `${name}: ${value}`), '', ''].join('\r\n')

export const refuseSocket = (socket: Duplex, refused: Refusal): void => {
  const body = statusJson(refused)
  const headers = {
    ...guards,
    'content-type': 'application/json',
    'content-length': String(Buffer.byteLength(body)),
    connection: 'close',
  }
  // Nobody else ends a connection on which HTTP is over, and the other side may never do it.
  socket.once('finish', () => socket.destroy())
  socket.end(head(`${refused.status} ${STATUS_CODES[refused.status] ?? ''}`, headers) + body)
}

export interface Joined {
  upstream: Upstream
  route: Route
  admitted: Admitted
}

/**
 * Asks the API server for the same WebSocket. When it has agreed, the two connections are joined and nobody here
 * looks at what goes over them; before that not a byte of the browser's goes further.
 *
 * @param first what came after the handshake's head
 */
export const joinWebSocket = (
  request: IncomingMessage,
  socket: Duplex,
  first: Buffer,
  { upstream: { server }, route, admitted }: Joined,
): void => {
  const { 'sec-websocket-key': key = '', 'sec-websocket-version': version = '' } = request.headers
  const asked = httpsRequest({
    ...server,
    // A connection of its own: it is gone with the WebSocket.
    agent: false,
    path: route.path,
    timeout: timeoutMs,
    headers: {
      ...headersFor(admitted.token, request.socket.remoteAddress),
      connection: 'Upgrade',
      upgrade: 'websocket',
      origin: `https://${server.host}`,
      'sec-websocket-key': key,
      'sec-websocket-version': version,
      ...(admitted.protocols.length > 0 ? { 'sec-websocket-protocol': admitted.protocols.join(', ') } : {}),
    },
  })
  socket.once('close', () => asked.destroy())
  asked.once('timeout', () => asked.destroy(new Error(`no answer within ${timeoutMs / 1000} s`)))
  asked.on('error', (error) => {
    refuseSocket(socket, refusal(502, 'BadGateway', `the API server did not answer: ${error.message}`))
  })
  asked.once('response', (answer) => {
    answer.resume()
    const status = answer.statusCode ?? 502
    refuseSocket(socket, refusal(status, 'Refused', `the API server answered ${status} and opened no WebSocket`))
  })
  asked.once('upgrade', (answer, joined, firstBack) => {
    joined.setTimeout(0)
    joined.setNoDelay()
    joined.setKeepAlive(true, keepAliveMs)
    request.socket.setKeepAlive(true, keepAliveMs)
    const protocol = answer.headers['sec-websocket-protocol']
    socket.write(
      head('101 Switching Protocols', {
        connection: 'Upgrade',
        upgrade: 'websocket',
        'sec-websocket-accept': answer.headers['sec-websocket-accept'] ?? '',
        ...(protocol === undefined ? {} : { 'sec-websocket-protocol': protocol }),
      }),
    )
    socket.write(firstBack)
    joined.write(first)
    // An end on one side is the end on the other.
    pipeline(socket, joined, socket, () => {
      socket.destroy()
      joined.destroy()
    })
  })
  asked.end()
}
