import type { IncomingMessage, ServerResponse } from 'node:http'
import { request as httpsRequest } from 'node:https'
import { pipeline } from 'node:stream/promises'
import * as z from 'zod'
import { isRefusal, type Refusal, refusal } from './admission.ts'
import { guards, refuse } from './answers.ts'
import type { Route } from './routes.ts'
import { headersFor, type Upstream } from './upstream.ts'

/** The page's largest request is a patch of two lines. */
const longestBody = 4096

/** The API server itself gives up after 60 s. */
const timeoutMs = 65_000

const readBody = async (request: IncomingMessage): Promise<string | Refusal> => {
  const chunks: Buffer[] = []
  let length = 0
  for await (const chunk of request) {
    const bytes = Buffer.from(chunk)
    length += bytes.length
    if (length > longestBody)
      return refusal(413, 'RequestEntityTooLarge', `the body is longer than ${longestBody} bytes`)
    chunks.push(bytes)
  }
  return Buffer.concat(chunks).toString('utf8')
}

/** The body that the API server gets, made anew from what came. */
const bodyOf = async (request: IncomingMessage, { body }: Route): Promise<string | undefined | Refusal> => {
  if (!body) return undefined
  const text = await readBody(request)
  if (typeof text !== 'string') return text
  try {
    return JSON.stringify(body.from(text === '' ? undefined : JSON.parse(text)))
  } catch (error) {
    const why = error instanceof z.ZodError ? z.prettifyError(error) : String(error)
    return refusal(400, 'BadRequest', `the console passes on no such change: ${why}`)
  }
}

const ask = (
  { server, agent }: Upstream,
  method: string | undefined,
  path: string,
  headers: Record<string, string>,
  body: string | undefined,
  signal: AbortSignal,
): Promise<IncomingMessage> =>
  new Promise((resolve, reject) => {
    const request = httpsRequest({ ...server, agent, method, path, headers, signal }, resolve)
    request.once('error', reject)
    if (body !== undefined) request.setHeader('content-length', Buffer.byteLength(body))
    request.end(body)
  })

export interface Forwarded {
  upstream: Upstream
  route: Route
  token: string
}

/** Sends the request on, and its answer back: of the headers only what the page reads. */
export const forward = async (
  request: IncomingMessage,
  response: ServerResponse,
  { upstream, route, token }: Forwarded,
): Promise<void> => {
  const body = await bodyOf(request, route)
  if (typeof body === 'object' && isRefusal(body)) {
    refuse(response, body)
    return
  }
  const gone = new AbortController()
  response.once('close', () => gone.abort())
  const signal = AbortSignal.any([gone.signal, AbortSignal.timeout(timeoutMs)])
  const headers = {
    ...headersFor(token, request.socket.remoteAddress),
    ...(route.body ? { 'content-type': route.body.contentType } : {}),
  }
  const answer = await ask(upstream, request.method, route.path, headers, body, signal)
  const { 'content-type': type = 'application/octet-stream', 'retry-after': retryAfter } = answer.headers
  response.writeHead(answer.statusCode ?? 502, {
    ...guards,
    'content-type': type,
    'cache-control': 'no-store',
    ...(retryAfter === undefined ? {} : { 'retry-after': retryAfter }),
  })
  await pipeline(answer, response)
}
