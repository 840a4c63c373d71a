import type { IncomingMessage } from 'node:http'
import { type RequestOptions, request } from 'node:https'
import { getCACertificates } from 'node:tls'
import { FileError } from './errors.ts'

/** Files from web servers: by https alone, and without credentials but those that a URL has in its query. */

/** A URL for messages: its query may be a signature, by which everybody can read the file. */
export const shownUrl = (url: string | URL): string => {
  const { origin, pathname, search } = new URL(url)
  return `${origin}${pathname}${search === '' ? '' : '?…'}`
}

const mostRedirects = 10

export interface WebRequest {
  method: 'HEAD' | 'GET'
  headers?: Readonly<Record<string, string>>
  signal: AbortSignal
  /** A connection on which nothing comes for so long is given up, also while the body comes. */
  silenceMs: number
  /** Certificate authorities; those of Node, of the system and of NODE_EXTRA_CA_CERTS when left out. */
  ca?: RequestOptions['ca']
}

/** An answer of 200 or 206, whose body waits to be read, and where the redirects led. */
export interface WebAnswer {
  url: URL
  status: number
  response: IncomingMessage
}

const knownAuthorities = (): string[] => [...new Set([...getCACertificates('default'), ...getCACertificates('system')])]

const ask = (url: URL, { method, headers, signal, silenceMs, ca }: WebRequest): Promise<WebAnswer> =>
  new Promise((resolve, reject) => {
    const silent = new Error(`nothing came for ${silenceMs / 1000} s`)
    const asked = request(
      url,
      {
        ...{ method, signal, timeout: silenceMs, ca },
        // A connection of its own: nothing that another request has said goes along.
        agent: false,
        headers: { 'accept-encoding': 'identity', 'user-agent': 'lamina', ...headers },
      },
      (response) => {
        // Before the request, which would end it with less of a reason.
        asked.prependListener('timeout', () => response.destroy(silent))
        resolve({ url, status: response.statusCode ?? 0, response })
      },
    )
    asked.on('timeout', () => asked.destroy(silent))
    asked.on('error', reject)
    asked.end()
  })

const codeOf = (error: unknown): string =>
  error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : ''

/** OpenSSL's names for a chain that does not end at a certificate authority that is known here. */
const isUntrusted = (error: unknown): boolean => /SELF_SIGNED|UNABLE_TO|CERT_|ERR_TLS_CERT/.test(codeOf(error))

/** Without Node's advice to who starts it. */
const wordsOf = (error: unknown): string =>
  error instanceof Error
    ? error.message.replace(/; if the root CA is installed locally.*$/, '') || codeOf(error)
    : String(error)

export const unreachable = ({ host }: URL, cause: unknown): FileError => {
  const advice = isUntrusted(cause)
    ? "an administrator makes its certificate authority known by the value extraCaCerts of Lamina's chart"
    : 'it is tried again'
  return new FileError('Unreachable', `${host} cannot be reached (${wordsOf(cause)}); ${advice}`, { cause })
}

const isRedirect = (status: number): boolean => [301, 302, 303, 307, 308].includes(status)

const redirected = ({ url, response }: WebAnswer): URL => {
  const { location = '' } = response.headers
  const next = URL.canParse(location, url) ? new URL(location, url) : undefined
  if (next?.protocol === 'https:') return next
  throw new FileError(
    'Other',
    `${shownUrl(url)} leads to "${next ? `${next.protocol}//${next.host}${next.pathname}` : ''}", which is not https: name where the file really is`,
  )
}

/** A URL with a query is most often a signed one. */
const unauthorized = (start: string): string =>
  new URL(start).search === ''
    ? 'Lamina sends no credentials, so the file must be open to all'
    : 'the signature in its query may have run out: renew it in spec.source.file.url'

const refusal = ({ url, status }: WebAnswer, start: string): FileError => {
  const said = `${url.host} says ${status} to ${shownUrl(url)}`
  if (status === 404 || status === 410) return new FileError('NotFound', `${said}: check spec.source.file.url`)
  if (status === 401 || status === 403) return new FileError('Unauthorized', `${said}: ${unauthorized(start)}`)
  if (status === 429 || status >= 500) return new FileError('Unreachable', `${said}; it is tried again`)
  return new FileError('Other', `${said}, which is no file`)
}

/**
 * Asks for a file through all redirects, which stay with https.
 *
 * @throws FileError
 */
export const openUrl = async (start: string, webRequest: WebRequest): Promise<WebAnswer> => {
  const trusting = { ...webRequest, ca: webRequest.ca ?? knownAuthorities() }
  let url = new URL(start)
  for (let hops = 0; hops <= mostRedirects; hops += 1) {
    let answer: WebAnswer
    try {
      answer = await ask(url, trusting)
    } catch (error) {
      webRequest.signal.throwIfAborted()
      throw unreachable(url, error)
    }
    if (answer.status === 200 || answer.status === 206) return answer
    answer.response.destroy()
    if (!isRedirect(answer.status)) throw refusal(answer, start)
    url = redirected(answer)
  }
  throw new FileError(
    'Other',
    `${shownUrl(start)} leads through more than ${mostRedirects} redirects: name where the file really is`,
  )
}
