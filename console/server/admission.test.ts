import type { IncomingHttpHeaders } from 'node:http'
import { describe, expect, test } from 'vitest'
import { execProtocol, tokenProtocol } from '../paths.ts'
import { admit } from './admission.ts'

const token = 'eyJhbGciOiJSUzI1NiJ9.e30.c2lnbmF0dXJl_-'
const authorization = `Bearer ${token}`
const host = 'console.example'
const origin = `https://${host}`
const carried = `${tokenProtocol}${Buffer.from(token).toString('base64url')}`

interface Kind {
  isWebSocket?: boolean
  changes?: boolean
  origins?: string[]
}
const ask = (headers: IncomingHttpHeaders, { isWebSocket = false, changes = false, origins = [] }: Kind = {}) =>
  admit({ headers: { host, ...headers }, isWebSocket, changes }, origins)

describe('the token', () => {
  test('comes in the header', () => {
    expect(ask({ authorization })).toEqual({ token, protocols: [] })
  })

  test('comes as a subprotocol of a WebSocket, and goes no further as one', () => {
    const headers = { origin, 'sec-websocket-protocol': `${execProtocol}, ${carried}` }
    expect(ask(headers, { isWebSocket: true })).toEqual({ token, protocols: [execProtocol] })
  })

  test.each([
    ['none', {}],
    ['a password', { authorization: 'Basic YTpi' }],
    ['an empty one', { authorization: 'Bearer ' }],
    ['one that would be two headers', { authorization: 'Bearer a\r\nImpersonate-User: admin' }],
    [
      'the same, encoded',
      { 'sec-websocket-protocol': `${tokenProtocol}${Buffer.from('a\r\nImpersonate-User: b').toString('base64url')}` },
    ],
  ])('%s: nobody is let through as anonymous', (_what, headers) => {
    expect(ask(headers)).toMatchObject({ status: 401 })
  })

  test('must be one: it would be unclear who acts', () => {
    const headers = { authorization, origin, 'sec-websocket-protocol': `${execProtocol}, ${carried}` }
    expect(ask(headers, { isWebSocket: true })).toMatchObject({ status: 400 })
  })
})

describe('a foreign page gets nothing, whatever a proxy in front adds to its requests:', () => {
  const foreign = { authorization, origin: 'https://evil.example' }
  test.each<[string, IncomingHttpHeaders, Kind]>([
    ['a WebSocket', foreign, { isWebSocket: true }],
    ['a change', foreign, { changes: true }],
    ['a look', foreign, {}],
    ['a WebSocket that does not say whose it is', { authorization }, { isWebSocket: true }],
    ['a change that does not say whose it is', { authorization }, { changes: true }],
    ['a page without an origin', { authorization, origin: 'null' }, { isWebSocket: true }],
    ['another port', { authorization, origin: `${origin}:8443` }, { changes: true }],
    ['a page of the same site', { authorization, 'sec-fetch-site': 'same-site' }, {}],
    ['a link', { authorization, 'sec-fetch-site': 'none' }, {}],
    ['its own host, where origins are named', { authorization, origin }, { changes: true, origins: ['https://a.b'] }],
  ])('%s', (_what, headers, kind) => {
    expect(ask(headers, kind)).toMatchObject({ status: 403 })
  })

  test.each<[string, IncomingHttpHeaders, Kind]>([
    ['of the host that was asked', { authorization, origin }, { changes: true }],
    [
      'of an origin that is named',
      { authorization, origin: 'https://a.b' },
      { changes: true, origins: ['https://a.b'] },
    ],
    ['as the browser says', { authorization, 'sec-fetch-site': 'same-origin' }, {}],
  ])('but the own page does: %s', (_what, headers, kind) => {
    expect(ask(headers, kind)).toMatchObject({ token })
  })
})
