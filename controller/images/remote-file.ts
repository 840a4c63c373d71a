import type { IncomingMessage } from 'node:http'
import { type RequestOptions, request } from 'node:https'

export type FileErrorKind = 'NotFound' | 'Unauthorized' | 'Unreachable' | 'Other'

/** The file cannot be had; the message is for the user: the URL, what is wrong, what to do next. */
export class FileError extends Error {
  override name = 'FileError'
  readonly kind: FileErrorKind
  constructor(kind: FileErrorKind, message: string, options?: ErrorOptions) {
    super(message, options)
    this.kind = kind
  }
}

export interface RemoteFile {
  /** Undefined when the server does not say. */
  sizeBytes: number | undefined
}

const mostRedirects = 10
const silenceMs = 15_000

type Method = 'HEAD' | 'GET'

/** The head of an answer: its body is not read. */
interface Answer {
  status: number
  headers: IncomingMessage['headers']
}

/** One byte is asked for where only GET is answered. */
const headersOf = (method: Method): Record<string, string> => ({
  'accept-encoding': 'identity',
  'user-agent': 'lamina',
  ...(method === 'GET' ? { range: 'bytes=0-0' } : {}),
})

const ask = (url: URL, method: Method, { signal, ...tls }: RequestOptions): Promise<Answer> =>
  new Promise((resolve, reject) => {
    // A connection of its own: nothing that another request has said goes along.
    const options = { ...tls, agent: false, method, headers: headersOf(method), timeout: silenceMs }
    const asked = request(url, { ...options, ...(signal ? { signal } : {}) }, (response) => {
      resolve({ status: response.statusCode ?? 0, headers: response.headers })
      response.destroy()
    })
    asked.on('timeout', () => asked.destroy(new Error(`no answer within ${silenceMs / 1000} s`)))
    asked.on('error', reject)
    asked.end()
  })

const codeOf = (error: unknown): string =>
  error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : ''

const unreachable = (url: URL, cause: unknown): FileError => {
  const words = cause instanceof Error ? cause.message : String(cause)
  // OpenSSL's names for a chain that does not end at a certificate authority that is known here.
  const isUntrusted = /SELF_SIGNED|UNABLE_TO|CERT_|ERR_TLS_CERT/.test(codeOf(cause))
  const advice = isUntrusted
    ? "an administrator makes its certificate authority known by the value extraCaCerts of Lamina's chart"
    : 'it is tried again'
  return new FileError('Unreachable', `${url.host} cannot be reached (${words}); ${advice}`, { cause })
}

const isRedirect = (status: number): boolean => [301, 302, 303, 307, 308].includes(status)

const redirected = (url: URL, { headers }: Answer): URL => {
  const { location = '' } = headers
  const next = URL.canParse(location, url) ? new URL(location, url) : undefined
  if (next?.protocol === 'https:') return next
  throw new FileError(
    'Other',
    `${url.origin}${url.pathname} leads to "${location}", which is not https: name where the file really is`,
  )
}

/** Through all redirects, which stay with https. */
const follow = async (start: URL, method: Method, options: RequestOptions): Promise<Answer & { url: URL }> => {
  let url = start
  for (let hops = 0; hops <= mostRedirects; hops += 1) {
    let answer: Answer
    try {
      answer = await ask(url, method, options)
    } catch (error) {
      throw unreachable(url, error)
    }
    if (!isRedirect(answer.status)) return { ...answer, url }
    url = redirected(url, answer)
  }
  throw new FileError(
    'Other',
    `${start.href} leads through more than ${mostRedirects} redirects: name where the file really is`,
  )
}

const sizeOf = ({ status, headers }: Answer): number | undefined => {
  const text = status === 206 ? /\/(\d+)$/.exec(headers['content-range'] ?? '')?.[1] : headers['content-length']
  return text !== undefined && /^\d{1,15}$/.test(text) ? Number(text) : undefined
}

const refusal = (url: URL, status: number): FileError => {
  const said = `${url.host} says ${status} to ${url.origin}${url.pathname}`
  if (status === 404 || status === 410) return new FileError('NotFound', `${said}: check spec.source.file.url`)
  if (status === 401 || status === 403)
    return new FileError('Unauthorized', `${said}: Lamina sends no credentials, so the file must be open to all`)
  if (status === 429 || status >= 500) return new FileError('Unreachable', `${said}; it is tried again`)
  return new FileError('Other', `${said}, which is no file`)
}

const isFound = ({ status }: Answer): boolean => status === 200 || status === 206

/**
 * Whether a file is there, and its size, without fetching it. Sends no
 * credentials, follows redirects to https only; where HEAD is refused, GET of
 * one byte.
 *
 * @param tls for servers whose certificate authority the process does not know
 * @throws FileError
 */
export const lookAtFile = async (
  url: string,
  signal: AbortSignal,
  tls: Pick<RequestOptions, 'ca'> = {},
): Promise<RemoteFile> => {
  const start = new URL(url)
  const head = await follow(start, 'HEAD', { ...tls, signal })
  if (isFound(head)) return { sizeBytes: sizeOf(head) }
  if (head.status === 404 || head.status === 410) throw refusal(head.url, head.status)
  const got = await follow(start, 'GET', { ...tls, signal })
  if (isFound(got)) return { sizeBytes: sizeOf(got) }
  throw refusal(got.url, got.status)
}
