import { request as httpRequest, type IncomingMessage } from 'node:http'
import { request as httpsRequest } from 'node:https'
import { createInterface } from 'node:readline'
import { text } from 'node:stream/consumers'
import { apiErrorOfBody } from '../../kube/api-error.ts'
import { createSessions } from '../../kube/session.ts'
import type { Connection } from './connection.ts'
import { userAgent } from './version.ts'

/**
 * The body of a GET as it comes: logs are no JSON, and need not end.
 *
 * @param path path and query
 * @throws ApiError for answers other than 200
 */
export const getRaw = async (
  { config, server }: Pick<Connection, 'config' | 'server'>,
  path: string,
  signal: AbortSignal,
): Promise<IncomingMessage> => {
  const { headers, watches } = await createSessions(config)()
  const url = `${server.replace(/\/+$/, '')}${path}`
  const answer = await new Promise<IncomingMessage>((resolve, reject) => {
    const options = { headers: { ...headers, 'user-agent': userAgent }, agent: watches, signal }
    const request = (url.startsWith('http:') ? httpRequest : httpsRequest)(url, options, resolve)
    request.once('error', reject)
    request.end()
  }).catch((error: unknown) => {
    signal.throwIfAborted()
    throw new Error(`no answer from ${server}`, { cause: error })
  })
  if (answer.statusCode !== 200)
    throw apiErrorOfBody(`GET ${path.split('?', 1)[0]}`, answer.statusCode ?? 0, await text(answer))
  return answer
}

/** Path of a container's log. */
export const logPath = (
  { namespace, name }: { namespace: string; name: string },
  query: Record<string, string | number | boolean | undefined>,
): string => {
  const given = Object.entries(query).flatMap(([key, value]) => (value === undefined ? [] : [[key, String(value)]]))
  return `/api/v1/namespaces/${encodeURIComponent(namespace)}/pods/${encodeURIComponent(name)}/log?${new URLSearchParams(given)}`
}

/** Its lines, until it ends or the signal is aborted. */
export async function* linesOf(body: IncomingMessage): AsyncGenerator<string> {
  yield* createInterface({ input: body, crlfDelay: Number.POSITIVE_INFINITY })
}
