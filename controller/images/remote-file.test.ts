import type { RequestListener } from 'node:http'
import { afterEach, describe, expect, test } from 'vitest'
import { FileError } from '../../runtime-shim/image/errors.ts'
import { makeCertificate, startWebServer, type TestWebServer } from '../../runtime-shim/image/testing/web-server.ts'
import { lookAtFile } from './remote-file.ts'

const certificate = makeCertificate()
let server: TestWebServer | undefined
afterEach(() => server?.stop())

const serve = async (listener: RequestListener): Promise<TestWebServer> => {
  server = await startWebServer(certificate, listener)
  return server
}

const look = (url: string) => lookAtFile(url, AbortSignal.timeout(5_000), { ca: certificate.cert })
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
    const { url, requests } = await serve((_, response) => response.writeHead(200, { 'content-length': 4711 }).end())
    expect(await look(`${url}/tools.sif`)).toEqual({ sizeBytes: 4711 })
    expect(requests.map(({ line }) => line)).toEqual(['HEAD /tools.sif'])
    expect(Object.keys(requests[0]?.headers ?? {})).not.toContain('authorization')
  })

  test.each([403, 405, 501])('is found by GET of one byte where HEAD is refused with %i', async (refused) => {
    const { url, requests } = await serve((request, response) =>
      request.method === 'HEAD'
        ? response.writeHead(refused).end()
        : response.writeHead(206, { 'content-range': 'bytes 0-0/4711', 'content-length': 1 }).end('x'),
    )
    expect(await look(`${url}/tools.sif`)).toEqual({ sizeBytes: 4711 })
    expect(requests[1]).toMatchObject({ line: 'GET /tools.sif', headers: { range: 'bytes=0-0' } })
  })

  test('is not fetched where the range is not heeded', async () => {
    const { url } = await serve((request, response) =>
      request.method === 'HEAD'
        ? response.writeHead(405).end()
        : response.writeHead(200, { 'content-length': 10 ** 9 }).write('x'),
    )
    expect(await look(`${url}/tools.sif`)).toEqual({ sizeBytes: 10 ** 9 })
  })

  test('may have no size', async () => {
    const { url } = await serve((_, response) => response.writeHead(200).end())
    expect(await look(`${url}/tools.sif`)).toEqual({ sizeBytes: undefined })
  })

  test('is found behind redirects', async () => {
    const { url } = await serve((request, response) =>
      request.url === '/latest'
        ? response.writeHead(302, { location: '/tools.sif' }).end()
        : response.writeHead(200, { 'content-length': 5 }).end(),
    )
    expect(await look(`${url}/latest`)).toEqual({ sizeBytes: 5 })
  })
})

describe('one that is not', () => {
  test.each([
    [404, 'NotFound', /404.*\/tools\.sif\?…: check spec\.source\.file\.url/],
    [410, 'NotFound', /410/],
    [401, 'Unauthorized', /may have run out: renew it in spec\.source\.file\.url/],
    [403, 'Unauthorized', /may have run out: renew it in spec\.source\.file\.url/],
    [429, 'Unreachable', /tried again/],
    [503, 'Unreachable', /tried again/],
    [400, 'Other', /no file/],
  ])('%i is told as %s', async (status, kind, words) => {
    const { url } = await serve((_, response) => response.writeHead(status).end())
    const error = await failure(look(`${url}/tools.sif?token=secret`))
    expect(error.kind).toBe(kind)
    expect(error.message).toMatch(words)
    expect(error.message).not.toContain('secret')
  })

  test.each(['http://127.0.0.1:1/x', 'file:///etc/passwd', 'ftp://127.0.0.1/x'])(
    'a redirect to "%s" is not followed',
    async (location) => {
      const { url } = await serve((_, response) => response.writeHead(302, { location }).end())
      expect(await failure(look(`${url}/latest`))).toMatchObject({
        kind: 'Other',
        message: expect.stringContaining('not https'),
      })
    },
  )

  test('redirects do not go on for ever', async () => {
    const { url } = await serve((_, response) => response.writeHead(302, { location: '/again' }).end())
    expect((await failure(look(`${url}/`))).message).toContain('10 redirects')
  })

  test('a server of an unknown authority: an administrator can make it known', async () => {
    const { url } = await serve((_, response) => response.end())
    const error = await failure(lookAtFile(`${url}/x`, AbortSignal.timeout(5_000)))
    expect(error).toMatchObject({ kind: 'Unreachable', message: expect.stringContaining('extraCaCerts') })
  })

  test('nobody listens', async () => {
    expect(await failure(look('https://127.0.0.1:1/x'))).toMatchObject({
      kind: 'Unreachable',
      message: expect.stringMatching(/127\.0\.0\.1:1 cannot be reached.*ECONNREFUSED.*tried again/),
    })
  })
})
