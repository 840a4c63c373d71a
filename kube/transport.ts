import { type Agent, request as httpRequest, type IncomingMessage } from 'node:http'
import { request as httpsRequest } from 'node:https'
import { text } from 'node:stream/consumers'
import { setTimeout as sleep } from 'node:timers/promises'
import type { KubeConfig } from '@kubernetes/client-node'
import { apiErrorOfBody } from './api-error.ts'
import type { Metrics } from './metrics.ts'
import { createSessions } from './session.ts'

/**
 * HTTP to the API server. By Node's own client: undici's parser is WebAssembly,
 * whose compiled code alone is 8 MB in a process that should stay below 40.
 */
export interface Transport {
  /** The answer's JSON. @throws ApiError for answers other than 2xx */
  send(request: ApiRequest): Promise<unknown>
  /** The lines of an answer that goes on until the server ends it, or the signal is aborted: then its reason is thrown. */
  lines(path: string, signal: AbortSignal): AsyncIterable<string>
}

export interface ApiRequest {
  method: 'GET' | 'POST' | 'PATCH' | 'DELETE'
  /** Path and query, below the cluster's URL. */
  path: string
  body?: { contentType: string; json: object }
}

const defaultTimeoutMs = 30_000
const retriesAtMost = 5
const retryAfterAtMostSeconds = 10

/** The server closed the connection just when we used it again, and has not seen the request. */
class StaleConnection extends Error {}

interface Exchange {
  method: string
  headers: Record<string, string>
  agent: Agent
  signal: AbortSignal
  body?: string
}

/** Resolves when the answer's headers are there. */
const exchange = (url: string, { body, ...options }: Exchange): Promise<IncomingMessage> =>
  new Promise((resolve, reject) => {
    const request = (url.startsWith('http:') ? httpRequest : httpsRequest)(url, options, resolve)
    request.once('error', (error) => {
      const isStale = request.reusedSocket && 'code' in error && error.code === 'ECONNRESET'
      reject(isStale ? new StaleConnection(error.message, { cause: error }) : error)
    })
    // Of a DELETE, Node would send the body without saying how long it is: the server would not read it.
    if (body !== undefined) request.setHeader('content-length', Buffer.byteLength(body))
    request.end(body)
  })

/** An aborted request fails in several ways; the signal knows why. */
const becauseOf = (signal: AbortSignal, error: unknown): unknown => (signal.aborted ? signal.reason : error)

/** Milliseconds to wait before the request is sent again, as the server asks, which has not begun it; undefined when the answer stands. */
const retryDelay = (status: number, retryAfter: string | undefined): number | undefined => {
  if ((status !== 429 && status !== 503) || retryAfter === undefined) return undefined
  const seconds = Number(retryAfter)
  return Number.isFinite(seconds) ? Math.min(Math.max(seconds, 0), retryAfterAtMostSeconds) * 1000 : undefined
}

const parseJson = (what: string, body: string): unknown => {
  try {
    return JSON.parse(body)
  } catch (error) {
    throw new Error(`${what}: the answer is not JSON: ${body.slice(0, 200)}`, { cause: error })
  }
}

async function* splitLines(body: IncomingMessage): AsyncIterable<string> {
  body.setEncoding('utf8')
  let rest = ''
  for await (const chunk of body) {
    const lines = `${rest}${chunk}`.split('\n')
    rest = lines.pop() ?? ''
    yield* lines
  }
}

export const createTransport = (
  config: KubeConfig,
  options: { metrics?: Metrics | undefined; userAgent: string; timeoutMs?: number },
): Transport => {
  const { metrics, userAgent, timeoutMs = defaultTimeoutMs } = options
  const session = createSessions(config)
  const server = config.getCurrentCluster()?.server.replace(/\/+$/, '')
  if (!server) throw new Error('the kubeconfig has no current cluster: set current-context')

  const headersFor = (credentials: Record<string, string>, contentType?: string): Record<string, string> => ({
    ...credentials,
    accept: 'application/json',
    'user-agent': userAgent,
    ...(contentType ? { 'content-type': contentType } : {}),
  })
  const count = (method: string, code: string): void => metrics?.requests.inc({ method, code })
  const noAnswer = (what: string, cause: unknown): Error => new Error(`${what}: no answer from ${server}`, { cause })

  const sendOnce = async ({ method, path, body }: ApiRequest) => {
    const { headers, requests } = await session()
    const signal = AbortSignal.timeout(timeoutMs)
    try {
      const answer = await exchange(`${server}${path}`, {
        method,
        headers: headersFor(headers, body?.contentType),
        agent: requests,
        signal,
        ...(body ? { body: JSON.stringify(body.json) } : {}),
      })
      return { status: answer.statusCode ?? 0, retryAfter: answer.headers['retry-after'], body: await text(answer) }
    } catch (error) {
      throw becauseOf(signal, error)
    }
  }

  /** The answer; undefined when the request may be sent once more. Whether a write got through is for the caller to find out. */
  const reach = async (request: ApiRequest, what: string) => {
    try {
      const answer = await sendOnce(request)
      count(request.method, String(answer.status))
      return answer
    } catch (error) {
      count(request.method, '<error>')
      if (error instanceof StaleConnection && request.method === 'GET') return undefined
      throw noAnswer(what, error)
    }
  }

  const send: Transport['send'] = async (request) => {
    const what = `${request.method} ${request.path.split('?', 1)[0]}`
    for (let tries = 0; ; tries++) {
      const answer = await reach(request, what)
      if (!answer) continue
      const { status, retryAfter, body } = answer
      if (status >= 200 && status < 300) return parseJson(what, body)
      const delay = retryDelay(status, retryAfter)
      if (delay === undefined || tries >= retriesAtMost) throw apiErrorOfBody(what, status, body)
      await sleep(delay)
    }
  }

  async function* lines(path: string, signal: AbortSignal): AsyncIterable<string> {
    const what = `WATCH ${path.split('?', 1)[0]}`
    const { headers, watches } = await session()
    const sent = exchange(`${server}${path}`, { method: 'GET', headers: headersFor(headers), agent: watches, signal })
    const answer = await sent.catch((error: unknown) => {
      if (!signal.aborted) count('WATCH', '<error>')
      throw becauseOf(signal, noAnswer(what, error))
    })
    count('WATCH', String(answer.statusCode))
    if (answer.statusCode !== 200) throw apiErrorOfBody(what, answer.statusCode ?? 0, await text(answer))
    try {
      yield* splitLines(answer)
    } catch (error) {
      throw becauseOf(signal, error)
    }
  }

  return { send, lines }
}
