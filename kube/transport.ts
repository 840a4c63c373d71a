import { setTimeout as sleep } from 'node:timers/promises'
import type { KubeConfig } from '@kubernetes/client-node'
import { type Dispatcher, errors, request } from 'undici'
import { ApiError, apiErrorOfBody } from './api-error.ts'
import type { Metrics } from './metrics.ts'
import { createSessions } from './session.ts'

export interface ApiRequest {
  method: 'GET' | 'POST' | 'PATCH' | 'DELETE'
  /** Path and query, below the cluster's URL. */
  path: string
  body?: { contentType: string; json: object }
}

export interface Transport {
  /** The answer's JSON. @throws ApiError for answers other than 2xx */
  send(request: ApiRequest): Promise<unknown>
  /** The lines of an answer that goes on until the signal is aborted or the server ends it. */
  lines(path: string, signal: AbortSignal): AsyncIterable<string>
}

const requestTimeoutMs = 30_000
const retriesAtMost = 5
const retryAfterAtMostSeconds = 10

/** A connection that the server closed just when we used it; only a request that changes nothing is sent again. */
const lostConnection = (error: unknown): boolean =>
  error instanceof errors.SocketError || (error instanceof Error && 'code' in error && error.code === 'ECONNRESET')

/** Milliseconds to wait before the request is sent again; undefined when the answer stands. The server has not begun what it asks to be sent again. */
const retryDelay = (status: number, retryAfter: string | undefined): number | undefined => {
  if (status !== 429 && status !== 503) return undefined
  const seconds = Number(retryAfter)
  if (retryAfter === undefined || !Number.isFinite(seconds)) return undefined
  return Math.min(Math.max(seconds, 0), retryAfterAtMostSeconds) * 1000
}

const single = (header: string | string[] | undefined): string | undefined =>
  Array.isArray(header) ? header[0] : header

async function* splitLines(body: Dispatcher.ResponseData['body']): AsyncIterable<string> {
  body.setEncoding('utf8')
  let rest = ''
  for await (const chunk of body) {
    const lines = `${rest}${chunk}`.split('\n')
    rest = lines.pop() ?? ''
    yield* lines
  }
  if (rest !== '') yield rest
}

export const createTransport = (
  config: KubeConfig,
  { metrics, userAgent }: { metrics?: Metrics | undefined; userAgent: string },
): Transport => {
  const session = createSessions(config)
  const server = config.getCurrentCluster()?.server.replace(/\/+$/, '')
  if (!server) throw new Error('the kubeconfig has no current cluster: set current-context')

  const count = (method: string, code: string): void => metrics?.requests.inc({ method, code })

  const sendOnce = async ({ method, path, body }: ApiRequest) => {
    const { headers, requests } = await session()
    const answer = await request(`${server}${path}`, {
      dispatcher: requests,
      method,
      headers: {
        ...headers,
        accept: 'application/json',
        'user-agent': userAgent,
        ...(body ? { 'content-type': body.contentType } : {}),
      },
      ...(body ? { body: JSON.stringify(body.json) } : {}),
      signal: AbortSignal.timeout(requestTimeoutMs),
    })
    return {
      status: answer.statusCode,
      retryAfter: single(answer.headers['retry-after']),
      text: await answer.body.text(),
    }
  }

  const send: Transport['send'] = async (sent) => {
    const what = `${sent.method} ${sent.path.split('?', 1)[0]}`
    for (let tries = 0; ; tries++) {
      try {
        const { status, retryAfter, text } = await sendOnce(sent)
        count(sent.method, String(status))
        if (status >= 200 && status < 300) return JSON.parse(text)
        const delay = retryDelay(status, retryAfter)
        if (delay === undefined || tries >= retriesAtMost) throw apiErrorOfBody(what, status, text)
        await sleep(delay)
      } catch (error) {
        if (error instanceof ApiError) throw error
        count(sent.method, '<error>')
        if (sent.method === 'GET' && tries === 0 && lostConnection(error)) continue
        throw new Error(`${what}: no answer from ${server}: ${error instanceof Error ? error.message : error}`, {
          cause: error,
        })
      }
    }
  }

  async function* lines(path: string, signal: AbortSignal): AsyncIterable<string> {
    const { headers, watches } = await session()
    const answer = await request(`${server}${path}`, {
      dispatcher: watches,
      method: 'GET',
      headers: { ...headers, accept: 'application/json', 'user-agent': userAgent },
      signal,
      headersTimeout: requestTimeoutMs,
      bodyTimeout: 0,
    })
    count('WATCH', String(answer.statusCode))
    if (answer.statusCode !== 200) {
      throw apiErrorOfBody(`WATCH ${path.split('?', 1)[0]}`, answer.statusCode, await answer.body.text())
    }
    yield* splitLines(answer.body)
  }

  return { send, lines }
}
