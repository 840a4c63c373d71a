import type { IncomingHttpHeaders } from 'node:http'
import { isBearerToken, tokenProtocol } from '../paths.ts'

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

/** Every token that came; undefined for what is none. */
const tokensOf = ({ authorization }: IncomingHttpHeaders, protocols: string[]): (string | undefined)[] => {
  const inHeader = authorization === undefined ? [] : [/^bearer +(.*)$/i.exec(authorization)?.[1] ?? '']
  const inProtocols = protocols
    .filter((protocol) => protocol.startsWith(tokenProtocol))
    .map((protocol) => Buffer.from(protocol.slice(tokenProtocol.length), 'base64url').toString('utf8'))
  return [...inHeader, ...inProtocols].map((token) => (isBearerToken(token) ? token : undefined))
}

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
