import type { RequestOptions } from 'node:https'
import { isDeepStrictEqual } from 'node:util'
import type { KubeConfig } from '@kubernetes/client-node'
import { Agent, type Dispatcher, ProxyAgent } from 'undici'
import { z } from 'zod'

/** What a request to the API server needs: who we are, and connections. */
export interface Session {
  headers: Record<string, string>
  /** Few connections, shared by all requests. */
  requests: Dispatcher
  /** A connection for each watch: one among the others would keep a connection from the requests. */
  watches: Dispatcher
}

/** How long a token or certificate is believed before its file is read again: both rotate. */
const freshMs = 30_000

/** Below the API server's own 90 s, so that a request rarely meets a connection that is being closed. */
const keepAliveMs = 60_000

const requestConnections = 16

const headersSchema = z.record(z.string(), z.string())

const readCredentials = async (config: KubeConfig) => {
  const options: RequestOptions = {}
  await config.applyToHTTPSOptions(options)
  const { ca, cert, key, pfx, passphrase, rejectUnauthorized, servername, auth } = options
  const basic = auth ? { Authorization: `Basic ${Buffer.from(auth).toString('base64')}` } : {}
  return {
    headers: { ...basic, ...headersSchema.parse(options.headers ?? {}) },
    tls: { ca, cert, key, pfx, passphrase, rejectUnauthorized, servername },
  }
}
type Credentials = Awaited<ReturnType<typeof readCredentials>>

const createDispatcher = (config: KubeConfig, tls: Credentials['tls'], options: Agent.Options): Dispatcher => {
  const common: Agent.Options = {
    ...options,
    allowH2: false,
    keepAliveTimeout: keepAliveMs,
    keepAliveMaxTimeout: keepAliveMs,
  }
  const proxy = config.getCurrentCluster()?.proxyUrl
  if (!proxy) return new Agent({ ...common, connect: { ...tls, keepAlive: true, keepAliveInitialDelay: 30_000 } })
  if (proxy.startsWith('socks')) {
    throw new Error(`proxy-url ${proxy} of the kubeconfig: SOCKS is not supported; use an HTTP proxy`)
  }
  return new ProxyAgent({ ...common, uri: proxy, requestTls: tls })
}

/**
 * The current session. Credentials are read again when they have aged; new
 * connections are made only when what TLS is made of has changed, and the old
 * ones end when their last request has.
 */
export const createSessions = (config: KubeConfig): (() => Promise<Session>) => {
  let current: { session: Session; tls: Credentials['tls']; readAt: number } | undefined
  let reading: Promise<Session> | undefined

  const read = async (): Promise<Session> => {
    const { headers, tls } = await readCredentials(config)
    const previous = current
    const connections =
      previous && isDeepStrictEqual(previous.tls, tls)
        ? previous.session
        : {
            requests: createDispatcher(config, tls, { connections: requestConnections }),
            watches: createDispatcher(config, tls, {}),
          }
    const session: Session = { headers, requests: connections.requests, watches: connections.watches }
    current = { session, tls, readAt: performance.now() }
    if (previous && previous.session.requests !== session.requests) {
      void previous.session.requests.close()
      void previous.session.watches.close()
    }
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
