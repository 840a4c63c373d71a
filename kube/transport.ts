import { type Agent, request as httpRequest, type IncomingMessage } from 'node:http'
import { request as httpsRequest } from 'node:https'
import { text } from 'node:stream/consumers'
import type { KubeConfig } from '@kubernetes/client-node'
import { apiErrorOfBody } from './api-error.ts'
import { type Clock, systemClock } from './clock.ts'
import { createFlowControl, retryDelay } from './flow-control.ts'
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

/** Which rule of API Priority and Fairness the request fell under: its reader asks for these objects by their uid. */
const flowOf = ({ headers }: IncomingMessage): string => {
  const uids = [headers['x-kubernetes-pf-flowschema-uid'], headers['x-kubernetes-pf-prioritylevel-uid']]
  return uids.every((uid) => uid !== undefined) ? ` [FlowSchema ${uids[0]}, PriorityLevelConfiguration ${uids[1]}]` : ''
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

export interface TransportOptions {
  metrics?: Metrics | undefined
  /** `name/version`; the API server takes the name as the field manager of creates and patches. */
  userAgent: string
  /** Asked before each try of a request that changes something. */
  mayWrite?: () => boolean
  /** For one try of a request, with its wait for a connection. */
  timeoutMs?: number
  clock?: Clock
  random?: () => number
}

/** Who sends must not write any more: another may do so now. */
export class MayNotWriteError extends Error {
  override name = 'MayNotWriteError'
}

export const createTransport = (config: KubeConfig, options: TransportOptions): Transport => {
  const { metrics, userAgent, mayWrite = () => true, timeoutMs = defaultTimeoutMs } = options
  const { clock = systemClock, random = Math.random } = options
  const session = createSessions(config)
  const server = config.getCurrentCluster()?.server.replace(/\/+$/, '')
  if (!server) throw new Error('the kubeconfig has no current cluster: set current-context')

  const headersFor = (credentials: Record<string, string>, contentType?: string): Record<string, string> => ({
    ...credentials,
    accept: 'application/json',
    'user-agent': userAgent,
    ...(contentType ? { 'content-type': contentType } : {}),
  })
  const { host } = new URL(server)
  const count = (method: string, code: string): void => metrics?.requests.inc({ method, code, host })
  const control = createFlowControl(clock)
  const noAnswer = (what: string, cause: unknown): Error => new Error(`${what}: no answer from ${server}`, { cause })

  const sendOnce = async ({ method, path, body }: ApiRequest) => {
    await control.open()
    const { headers, requests } = await session()
    if (method !== 'GET' && !mayWrite()) throw new MayNotWriteError(`${method} ${path}: not sent, for another may lead`)
    const signal = AbortSignal.timeout(timeoutMs)
    try {
      const answer = await exchange(`${server}${path}`, {
        method,
        headers: headersFor(headers, body?.contentType),
        agent: requests,
        signal,
        ...(body ? { body: JSON.stringify(body.json) } : {}),
      })
      return {
        status: answer.statusCode ?? 0,
        retryAfter: answer.headers['retry-after'],
        flow: flowOf(answer),
        body: await text(answer),
      }
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
      if (error instanceof MayNotWriteError) throw error
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
      const { status, retryAfter, flow, body } = answer
      if (status >= 200 && status < 300) return parseJson(what, body)
      const delay = retryDelay({ method: request.method, status, retryAfter, tries }, random)
      if (delay === undefined) throw apiErrorOfBody(status === 429 ? `${what}${flow}` : what, status, body)
      control.hold(delay)
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
