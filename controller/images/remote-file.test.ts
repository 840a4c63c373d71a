import { execFileSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import type { RequestListener } from 'node:http'
import { createServer, type Server } from 'node:https'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import { FileError, lookAtFile } from './remote-file.ts'

let dir: string
let tls: { key: Buffer; cert: Buffer }
beforeAll(() => {
  dir = mkdtempSync(join(tmpdir(), 'lamina-remote-'))
  const [key, cert] = [join(dir, 'key.pem'), join(dir, 'cert.pem')]
  const flags = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-days', '1', '-subj', '/CN=here']
  const names = ['-addext', 'subjectAltName=IP:127.0.0.1']
  execFileSync('openssl', ['req', '-x509', ...flags, ...names, '-keyout', key, '-out', cert], { stdio: 'ignore' })
  tls = { key: readFileSync(key), cert: readFileSync(cert) }
})
afterAll(() => rmSync(dir, { recursive: true }))

let server: Server | undefined
let seen: { line: string; headers: object }[] = []
afterEach(async () => {
  server?.closeAllConnections()
  await new Promise((done) => server?.close(done) ?? done(undefined))
})

/** A web server; returns where it is. */
const serve = async (listener: RequestListener): Promise<string> => {
  seen = []
  const listening = createServer(tls, (request, response) => {
    seen.push({ line: `${request.method} ${request.url}`, headers: request.headers })
    listener(request, response)
  })
  server = listening
  await new Promise<void>((done) => listening.listen(0, '127.0.0.1', done))
  const address = listening.address()
  return `https://127.0.0.1:${typeof address === 'object' ? address?.port : address}`
}

const look = (url: string, ca: Buffer | undefined = tls.cert) =>
  lookAtFile(url, AbortSignal.timeout(5_000), ca ? { ca } : {})
const failure = async (looking: Promise<unknown>) => {
  const error = await looking.then(
    () => undefined,
    (thrown: unknown) => thrown,
  )
  if (!(error instanceof FileError)) throw new Error('no FileError', { cause: error })
  return error
}

describe('a file that is there', () => {
  test('has its size by HEAD, without credentials', async () => {
    const base = await serve((_, response) => response.writeHead(200, { 'content-length': 4711 }).end())
    expect(await look(`${base}/tools.sif`)).toEqual({ sizeBytes: 4711 })
    expect(seen.map(({ line }) => line)).toEqual(['HEAD /tools.sif'])
    expect(Object.keys(seen[0]?.headers ?? {})).not.toContain('authorization')
  })

  test.each([403, 405, 501])('is found by GET of one byte where HEAD is refused with %i', async (refused) => {
    const base = await serve((request, response) =>
      request.method === 'HEAD'
        ? response.writeHead(refused).end()
        : response.writeHead(206, { 'content-range': 'bytes 0-0/4711', 'content-length': 1 }).end('x'),
    )
    expect(await look(`${base}/tools.sif`)).toEqual({ sizeBytes: 4711 })
    expect(seen[1]).toMatchObject({ line: 'GET /tools.sif', headers: { range: 'bytes=0-0' } })
  })

  test('is not fetched where the range is not heeded', async () => {
    const base = await serve((request, response) =>
      request.method === 'HEAD'
        ? response.writeHead(405).end()
        : response.writeHead(200, { 'content-length': 10 ** 9 }).write('x'),
    )
    expect(await look(`${base}/tools.sif`)).toEqual({ sizeBytes: 10 ** 9 })
  })

  test('may have no size', async () => {
    const base = await serve((_, response) => response.writeHead(200).end())
    expect(await look(`${base}/tools.sif`)).toEqual({ sizeBytes: undefined })
  })

  test('is found behind redirects', async () => {
    const base = await serve((request, response) =>
      request.url === '/latest'
        ? response.writeHead(302, { location: '/tools.sif' }).end()
        : response.writeHead(200, { 'content-length': 5 }).end(),
    )
    expect(await look(`${base}/latest`)).toEqual({ sizeBytes: 5 })
  })
})

describe('one that is not', () => {
  test.each([
    [404, 'NotFound', /404.*\/tools\.sif: check spec\.source\.file\.url/],
    [410, 'NotFound', /410/],
    [401, 'Unauthorized', /sends no credentials/],
    [403, 'Unauthorized', /sends no credentials/],
    [429, 'Unreachable', /tried again/],
    [503, 'Unreachable', /tried again/],
    [400, 'Other', /no file/],
  ])('%i is told as %s', async (status, kind, words) => {
    const base = await serve((_, response) => response.writeHead(status).end())
    const error = await failure(look(`${base}/tools.sif?token=secret`))
    expect(error.kind).toBe(kind)
    expect(error.message).toMatch(words)
    expect(error.message).not.toContain('secret')
  })

  test.each(['http://127.0.0.1:1/x', 'file:///etc/passwd', 'ftp://127.0.0.1/x'])(
    'a redirect to "%s" is not followed',
    async (location) => {
      const base = await serve((_, response) => response.writeHead(302, { location }).end())
      expect(await failure(look(`${base}/latest`))).toMatchObject({
        kind: 'Other',
        message: expect.stringContaining('not https'),
      })
    },
  )

  test('redirects do not go on for ever', async () => {
    const base = await serve((_, response) => response.writeHead(302, { location: '/again' }).end())
    expect((await failure(look(`${base}/`))).message).toContain('10 redirects')
  })

  test('a server of an unknown authority: an administrator can make it known', async () => {
    const base = await serve((_, response) => response.end())
    const error = await failure(lookAtFile(`${base}/x`, AbortSignal.timeout(5_000)))
    expect(error).toMatchObject({ kind: 'Unreachable', message: expect.stringContaining('extraCaCerts') })
  })

  test('nobody listens', async () => {
    expect(await failure(look('https://127.0.0.1:1/x'))).toMatchObject({
      kind: 'Unreachable',
      message: expect.stringMatching(/127\.0\.0\.1:1 cannot be reached.*ECONNREFUSED.*tried again/),
    })
  })
})
