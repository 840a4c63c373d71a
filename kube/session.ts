import { Agent as HttpAgent } from 'node:http'
import { Agent, type RequestOptions } from 'node:https'
import { isDeepStrictEqual } from 'node:util'
import type { KubeConfig } from '@kubernetes/client-node'
import * as z from 'zod'

/** What a request to the API server needs: who we are, and connections. */
export interface Session {
  headers: Record<string, string>
  /** Few connections, shared by all requests. */
  requests: HttpAgent
  /** A connection for each watch: among the others they would leave the requests none. */
  watches: HttpAgent
}

/** How long a token or certificate is believed before its file is read again: both rotate. */
const freshMs = 30_000

/** Below the API server's own 90 s, so that a request rarely meets a connection that is being closed. */
const idleConnectionMs = 60_000

const requestConnections = 16

/** Finds out that the other side is gone although it never said so. */
const tcpKeepAliveMs = 30_000

const headersSchema = z.record(z.string(), z.string())

const readCredentials = async (config: KubeConfig) => {
  const options: RequestOptions = {}
  await config.applyToHTTPSOptions(options)
  const { ca, cert, key, pfx, passphrase, rejectUnauthorized, servername, auth, agent } = options
  const basic = auth ? { Authorization: `Basic ${Buffer.from(auth).toString('base64')}` } : {}
  return {
    headers: { ...basic, ...headersSchema.parse(options.headers ?? {}) },
    tls: { ca, cert, key, pfx, passphrase, rejectUnauthorized, servername },
    /** client-node's own agent: without keep-alive, but it knows proxies. */
    agent: agent instanceof HttpAgent ? agent : undefined,
  }
}
type Credentials = Awaited<ReturnType<typeof readCredentials>>

const openConnections = (config: KubeConfig, { tls, agent }: Credentials): Pick<Session, 'requests' | 'watches'> => {
  const cluster = config.getCurrentCluster()
  if (cluster?.proxyUrl && agent) return { requests: agent, watches: agent }
  const keepAlive = { keepAlive: true, keepAliveMsecs: tcpKeepAliveMs }
  const pool = { ...keepAlive, maxSockets: requestConnections, timeout: idleConnectionMs }
  if (cluster?.server.startsWith('http:')) return { requests: new HttpAgent(pool), watches: new HttpAgent(keepAlive) }
  return { requests: new Agent({ ...tls, ...pool }), watches: new Agent({ ...tls, ...keepAlive }) }
}

/**
 * The current session. Credentials are read again when they have aged; new
 * connections are made only when what TLS is made of has changed, and the old
 * ones end when they have been idle.
 */
export const createSessions = (config: KubeConfig): (() => Promise<Session>) => {
  let current: { session: Session; tls: Credentials['tls']; readAt: number } | undefined
  let reading: Promise<Session> | undefined

  const read = async (): Promise<Session> => {
    const credentials = await readCredentials(config)
    const { headers, tls } = credentials
    const { requests, watches } =
      current && isDeepStrictEqual(current.tls, tls) ? current.session : openConnections(config, credentials)
    const session = { headers, requests, watches }
    current = { session, tls, readAt: performance.now() }
    return session
  }

  return async () => {
    if (current && performance.now() - current.readAt < freshMs) return current.session
    reading ??= read().finally(() => {
      reading = undefined
    })
    return reading
  }
}
