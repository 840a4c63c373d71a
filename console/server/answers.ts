import type { ServerResponse } from 'node:http'
import type { Refusal } from './admission.ts'

/** Headers of everything that is served. */
export const guards = {
  'content-security-policy': [
    "default-src 'none'",
    "script-src 'self'",
    // xterm.js makes style elements at run time.
    "style-src 'self' 'unsafe-inline'",
    "connect-src 'self'",
    "img-src 'self'",
    "base-uri 'none'",
    "form-action 'none'",
    "frame-ancestors 'none'",
    "require-trusted-types-for 'script'",
    "trusted-types 'none'",
  ].join('; '),
  'x-frame-options': 'DENY',
  'x-content-type-options': 'nosniff',
  'referrer-policy': 'no-referrer',
  'cross-origin-opener-policy': 'same-origin',
  'cross-origin-resource-policy': 'same-origin',
  'permissions-policy': 'camera=(), geolocation=(), microphone=()',
} as const

/** A refusal as the API server would send it, so that the page reads all of them in one way. */
export const statusJson = ({ status, reason, message }: Refusal): string =>
  JSON.stringify({ kind: 'Status', apiVersion: 'v1', metadata: {}, status: 'Failure', message, reason, code: status })

export const refuse = (response: ServerResponse, refused: Refusal): void => {
  const headers = { ...guards, 'content-type': 'application/json', 'cache-control': 'no-store' }
  response.writeHead(refused.status, headers).end(statusJson(refused))
}
