import { once } from 'node:events'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { request as httpRequest, type IncomingHttpHeaders } from 'node:http'
import { createServer, request as httpsRequest, type Server } from 'node:https'
import { type AddressInfo, connect, Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { execa } from 'execa'
import { afterAll, beforeAll, beforeEach, describe, expect, test, vi } from 'vitest'
import { isAddressInfo } from '../../kube/server.ts'
import { silentLog } from '../../kube/testing/silent-log.ts'
import { execPath, execProtocol, instancePath, listPath, tokenProtocol, whoAmIPath } from '../paths.ts'
import { loadAssets } from './assets.ts'
import { type Certificate, serveConsole } from './server.ts'
import { createUpstream } from './upstream.ts'

interface Seen {
  method: string | undefined
  url: string | undefined
  headers: IncomingHttpHeaders
  body: string
}

/** Its own authority, in `cert.pem` and `key.pem`. */
const makeCertificate = async (dir: string): Promise<Certificate> => {
  const [key, cert] = [join(dir, 'key.pem'), join(dir, 'cert.pem')]
  const subject = ['-subj', '/CN=api', '-addext', 'subjectAltName=IP:127.0.0.1', '-days', '1']
  const newKey = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes']
  await execa('openssl', ['req', '-x509', ...newKey, '-keyout', key, '-out', cert, ...subject])
  return { cert: await readFile(cert, 'utf8'), key: await readFile(key, 'utf8') }
}

/** Stands where the API server does, to see what reaches it: the real one does not tell. */
const createTarget = async (dir: string, seen: Seen[]): Promise<Server> => {
  const target = createServer(await makeCertificate(dir), async (request, response) => {
    const { method, url, headers } = request
    seen.push({ method, url, headers, body: await text(request) })
    response
      .writeHead(403, {
        'content-type': 'application/json',
        'set-cookie': 'a=b',
        location: 'https://elsewhere',
        'access-control-allow-origin': '*',
        'retry-after': '1',
      })
      .end('{"kind":"Status","message":"no"}')
  })
  target.on('upgrade', (request, socket) => {
    const { method, url, headers } = request
    seen.push({ method, url, headers, body: '' })
    if (url?.includes('/pods/refused/')) {
      socket.end('HTTP/1.1 403 Forbidden\r\ncontent-length: 0\r\n\r\n')
      return
    }
    socket.write(`HTTP/1.1 101 Switching Protocols\r\nconnection: Upgrade\r\nupgrade: websocket\r\n`)
    socket.write(`sec-websocket-protocol: ${execProtocol}\r\nset-cookie: a=b\r\n\r\n`)
    socket.pipe(socket)
  })
  await new Promise<void>((resolve) => target.listen(0, '127.0.0.1', resolve))
  return target
}

const addressOf = (server: Server): AddressInfo => {
  const address = server.address()
  if (!isAddressInfo(address)) throw new Error('it does not listen')
  return address
}

describe('the console', () => {
  const seen: Seen[] = []
  let dir: string
  let target: Server
  let server: Awaited<ReturnType<typeof serveConsole>>
  beforeAll(async () => {
    dir = await mkdtemp(join(tmpdir(), 'lamina-console-'))
    await writeFile(join(dir, 'index.html'), '<!doctype html><title>Lamina</title>')
    await writeFile(join(dir, 'page.js.map'), '{}')
    target = await createTarget(dir, seen)
    server = await serveConsole({
      port: 0,
      host: '127.0.0.1',
      assets: await loadAssets(dir),
      origins: [],
      upstream: createUpstream({
        host: '127.0.0.1',
        port: addressOf(target).port,
        ca: await readFile(join(dir, 'cert.pem'), 'utf8'),
      }),
      log: silentLog,
    })
  })
  afterAll(async () => {
    await server.close()
    target.closeAllConnections()
    target.close()
    await rm(dir, { recursive: true })
  })
  beforeEach(() => {
    seen.length = 0
  })

  const own = () => ({ origin: `http://127.0.0.1:${server.port}` })
  const signedIn = () => ({ ...own(), authorization: 'Bearer token-1' })
  /** As a browser cannot: with any header. */
  const ask = (method: string, path: string, headers: Record<string, string> = {}, body = '') =>
    new Promise<{ status: number | undefined; headers: IncomingHttpHeaders; body: string }>((resolve, reject) => {
      const asked = httpRequest({ host: '127.0.0.1', port: server.port, method, path, headers }, async (answer) => {
        resolve({ status: answer.statusCode, headers: answer.headers, body: await text(answer) })
      })
      asked.once('error', reject)
      asked.end(body)
    })

  test('serves its page under a policy that runs nothing else', async () => {
    const { status, headers } = await ask('GET', '/')
    expect(status).toBe(200)
    expect(headers['content-security-policy']).toContain("default-src 'none'; script-src 'self'")
    expect(headers).toMatchObject({ 'x-frame-options': 'DENY', 'x-content-type-options': 'nosniff' })
    expect(await ask('GET', '/', { 'if-none-match': headers.etag ?? '' })).toMatchObject({ status: 304, body: '' })
  })

  test.each(['/page.js.map', '/../main.ts', '/cert.pem', '/%2e%2e/cert.pem'])('has no %s', async (path) => {
    expect(await ask('GET', path)).toMatchObject({ status: 404 })
  })

  test('is well', async () => {
    expect(await ask('GET', '/healthz')).toMatchObject({ status: 200, body: 'ok\n' })
  })

  test("passes on the user's token, and nothing else that came", async () => {
    const extra = {
      cookie: 'session=1',
      'impersonate-user': 'admin',
      'impersonate-group': 'system:masters',
      'x-remote-user': 'admin',
      'x-forwarded-for': '10.0.0.1',
      'accept-encoding': 'gzip',
    }
    await ask('GET', listPath('team-a', 'instances'), { ...signedIn(), ...extra })
    const { method, url, headers } = seen[0] ?? {}
    expect({ method, url }).toEqual({ method: 'GET', url: listPath('team-a', 'instances') })
    expect(headers).toEqual({
      authorization: 'Bearer token-1',
      accept: 'application/json, */*',
      'user-agent': 'lamina-console',
      'x-forwarded-for': '127.0.0.1',
      host: `127.0.0.1:${addressOf(target).port}`,
      connection: 'keep-alive',
    })
  })

  test("gives the API server's words back, and none of its headers but the type and when to try again", async () => {
    const { status, headers, body } = await ask('GET', listPath('team-a', 'instances'), signedIn())
    expect({ status, body }).toEqual({ status: 403, body: '{"kind":"Status","message":"no"}' })
    expect(headers).toMatchObject({
      'content-type': 'application/json',
      'retry-after': '1',
      'cache-control': 'no-store',
    })
    expect(Object.keys(headers)).not.toEqual(expect.arrayContaining(['set-cookie']))
    expect(headers).not.toHaveProperty('location')
    expect(headers).not.toHaveProperty('access-control-allow-origin')
  })

  test('writes bodies anew', async () => {
    await ask('PATCH', instancePath('team-a', 'dev'), signedIn(), ' {"spec": {"state": "Stopped"}} ')
    await ask('POST', whoAmIPath, signedIn(), '{"kind":"TokenReview"}')
    expect(seen.map(({ body, headers }) => [headers['content-type'], body])).toEqual([
      ['application/merge-patch+json', '{"spec":{"state":"Stopped"}}'],
      ['application/json', '{"apiVersion":"authentication.k8s.io/v1","kind":"SelfSubjectReview"}'],
    ])
  })

  test.each([
    ['no token', 'GET', listPath('a', 'instances'), {}, '', 401],
    ['what the page never asks for', 'GET', '/api/v1/secrets', { authorization: 'Bearer t' }, '', 404],
    ['an unknown change', 'PATCH', instancePath('a', 'b'), { authorization: 'Bearer t' }, '{"spec":{}}', 400],
    ['no JSON', 'PATCH', instancePath('a', 'b'), { authorization: 'Bearer t' }, '{', 400],
    ['a long body', 'PATCH', instancePath('a', 'b'), { authorization: 'Bearer t' }, ' '.repeat(5000), 413],
  ])('asks nobody about %s', async (_what, method, path, headers, body, status) => {
    const answer = await ask(method, path, { ...own(), ...headers }, body)
    expect(answer.status).toBe(status)
    expect(JSON.parse(answer.body)).toMatchObject({ kind: 'Status', code: status })
    expect(seen).toEqual([])
  })

  const headOf = (path: string, headers: Record<string, string>): string =>
    [
      `GET ${path} HTTP/1.1`,
      ...Object.entries({ host: `127.0.0.1:${server.port}`, ...headers }).map(([key, value]) => `${key}: ${value}`),
      ...['', ''],
    ].join('\r\n')

  /** What a raw connection gets for a handshake, and for what is sent behind it. */
  const shake = async (path: string, headers: Record<string, string>, behind = '', expected = '') => {
    const socket = connect(server.port, '127.0.0.1')
    socket.write(headOf(path, headers) + behind)
    let got = ''
    for await (const chunk of socket) {
      got += chunk
      if (expected !== '' && got.endsWith(expected)) break
    }
    return got
  }
  const handshake = () => ({
    ...own(),
    connection: 'Upgrade',
    upgrade: 'websocket',
    'sec-websocket-version': '13',
    'sec-websocket-key': 'dGhlIHNhbXBsZSBub25jZQ==',
    'sec-websocket-protocol': `${execProtocol}, ${tokenProtocol}${Buffer.from('token-1').toString('base64url')}`,
  })

  test('joins a terminal, with the token in its header', async () => {
    const extra = { cookie: 'a=b', 'impersonate-user': 'admin', 'sec-websocket-extensions': 'permessage-deflate' }
    const got = await shake(execPath('team-a', 'dev'), { ...handshake(), ...extra }, 'echoed', 'echoed')
    expect(got).toContain('HTTP/1.1 101 ')
    expect(got).not.toContain('set-cookie')
    expect(seen[0]?.headers).toMatchObject({ authorization: 'Bearer token-1', 'sec-websocket-protocol': execProtocol })
    expect(Object.keys(seen[0]?.headers ?? {})).not.toEqual(
      expect.arrayContaining([expect.stringMatching(/cookie|impersonate|extensions/)]),
    )
  })

  test('finds out that the browser is gone, as that the API server is', async () => {
    const kept = vi.spyOn(Socket.prototype, 'setKeepAlive')
    await shake(execPath('team-a', 'dev'), handshake(), 'echoed', 'echoed')
    const isBrowsers = (socket: unknown): boolean => socket instanceof Socket && socket.localPort === server.port
    expect(kept.mock.calls.filter((_, index) => isBrowsers(kept.mock.contexts[index]))).toEqual([[true, 30_000]])
    kept.mockRestore()
  })

  test('sends nothing on behind a handshake that was refused', async () => {
    const hidden = 'GET /api/v1/secrets HTTP/1.1\r\nhost: a\r\n\r\n'
    const got = await shake(execPath('team-a', 'refused'), handshake(), hidden)
    expect(got).toContain('HTTP/1.1 403 Forbidden')
    expect(seen).toHaveLength(1)
  })

  test.each<[string, Record<string, string>, string]>([
    ['of a foreign page', { origin: 'https://evil.example' }, '403'],
    ['without a token', { 'sec-websocket-protocol': execProtocol }, '401'],
    ['to something else', { upgrade: 'h2c' }, '400'],
  ])('joins no handshake %s', async (_what, changed, status) => {
    expect(await shake(execPath('team-a', 'dev'), { ...handshake(), ...changed })).toContain(`HTTP/1.1 ${status} `)
    expect(seen).toEqual([])
  })

  test('lets go of one whose handshake was refused, also where that never ends its side', async () => {
    const socket = connect({ host: '127.0.0.1', port: server.port, allowHalfOpen: true })
    socket.on('error', () => {}).resume()
    socket.write(headOf(execPath('team-a', 'dev'), { ...handshake(), origin: 'https://evil.example' }))
    await once(socket, 'end')
    const isLetGo = new Promise((resolve) => socket.once('close', resolve))
    // Only who writes hears of it.
    const writing = setInterval(() => socket.write('x'), 10)
    await isLetGo
    clearInterval(writing)
  })

  test('says so when the API server does not answer', async () => {
    const dead = createUpstream({ host: '127.0.0.1', port: 1, ca: '' })
    const lonely = await serveConsole({
      port: 0,
      host: '127.0.0.1',
      assets: new Map(),
      origins: [],
      upstream: dead,
      log: silentLog,
    })
    const answer = await fetch(`http://127.0.0.1:${lonely.port}${listPath('a', 'instances')}`, {
      headers: { authorization: 'Bearer t', 'sec-fetch-site': 'same-origin' },
    })
    expect(answer.status).toBe(502)
    expect(await answer.text()).toContain('the API server did not answer')
    await lonely.close()
  })

  test('speaks HTTPS with a certificate, and takes a new one while it runs', async () => {
    const upstream = createUpstream({ host: '127.0.0.1', port: 1, ca: '' })
    const first = await makeCertificate(dir)
    const common = { host: '127.0.0.1', assets: new Map(), origins: [], upstream, log: silentLog }
    const secure = await serveConsole({ ...common, port: 0, certificate: first })
    const health = ({ cert }: { cert: string }) =>
      new Promise<number | undefined>((resolve, reject) => {
        const options = { host: '127.0.0.1', port: secure.port, path: '/healthz', ca: cert, agent: false }
        httpsRequest(options, (answer) => resolve(answer.resume().statusCode))
          .once('error', reject)
          .end()
      })
    expect(await health(first)).toBe(200)
    const second = await makeCertificate(dir)
    await expect(health(second)).rejects.toThrow('certificate')
    secure.renew(second)
    expect(await health(second)).toBe(200)
    await secure.close()
  })
})
