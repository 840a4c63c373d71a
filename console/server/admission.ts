import type { IncomingHttpHeaders } from 'node:http'
import { tokenProtocol } from '../paths.ts'

/** Whose request it is, and whether it is the page that sends it. */

/** Why a request goes no further. */
export interface Refusal {
  status: number
  /** As the API server has them: Unauthorized, Forbidden, … */
  reason: string
  message: string
}

export interface Admitted {
  token: string
  /** Subprotocols of a WebSocket, without the one that carried the token. */
  protocols: string[]
}

export const isRefusal = (value: object): value is Refusal => 'reason' in value

export const refusal = (status: number, reason: string, message: string): Refusal => ({ status, reason, message })

/** RFC 6750, section 2.1. */
const bearer = /^bearer +([A-Za-z0-9._~+/-]+=*)$/i

const hostOf = (origin: string): string | undefined => (URL.canParse(origin) ? new URL(origin).host : undefined)

export interface Request {
  headers: IncomingHttpHeaders
  isWebSocket: boolean
  /** Whether it may change something. */
  changes: boolean
}

/** A proxy in front may add the token to requests of foreign pages too: only the browser knows whose they are. */
const isForeign = ({ headers, isWebSocket, changes }: Request, origins: readonly string[]): boolean => {
  const { origin, host } = headers
  const site = headers['sec-fetch-site']
  if (site !== undefined && site !== 'same-origin') return true
  if (origin === undefined) return isWebSocket || changes
  return origins.length > 0 ? !origins.includes(origin) : hostOf(origin) !== host
}

const tokensOf = (headers: IncomingHttpHeaders, protocols: string[]): (string | undefined)[] => [
  ...(headers.authorization === undefined ? [] : [bearer.exec(headers.authorization)?.[1]]),
  ...protocols
    .filter((protocol) => protocol.startsWith(tokenProtocol))
    .map((protocol) => Buffer.from(protocol.slice(tokenProtocol.length), 'base64url').toString('utf8'))
    .map((token) => bearer.exec(`Bearer ${token}`)?.[1]),
]

/**
 * @param origins of the page, as `https://console.example`; empty: whichever the request's `Host` says
 */
export const admit = (request: Request, origins: readonly string[]): Admitted | Refusal => {
  if (isForeign(request, origins))
    return refusal(
      403,
      'Forbidden',
      "this request does not come from the console's own page: open the console by its own address, and have a proxy in front keep the Host, or name the address in console.origins",
    )
  const given = request.headers['sec-websocket-protocol']?.split(',').map((protocol) => protocol.trim()) ?? []
  const [token, ...more] = tokensOf(request.headers, given)
  if (more.length > 0)
    return refusal(
      400,
      'BadRequest',
      'two tokens in one request: a proxy in front signs you in already, so sign out of the page',
    )
  if (token === undefined) return refusal(401, 'Unauthorized', 'sign in: the console has no rights of its own')
  return { token, protocols: given.filter((protocol) => !protocol.startsWith(tokenProtocol)) }
}
