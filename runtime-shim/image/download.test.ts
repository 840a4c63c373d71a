import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises'
import type { RequestListener, ServerResponse } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createServer } from 'node:tls'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { type Download, downloadFile } from './download.ts'
import { FileError, NoSpaceError } from './errors.ts'
import { sha256 } from './testing/image.ts'
import { withSmallDisk } from './testing/small-disk.ts'
import { type Certificate, makeCertificate, startWebServer, type TestWebServer } from './testing/web-server.ts'

const content = randomBytes(3 * 2 ** 20)
const digest = `sha256:${sha256(content)}`

let certificate: Certificate
beforeAll(() => {
  certificate = makeCertificate()
})

let dir: string
let server: TestWebServer | undefined
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'lamina-download-'))
})
afterEach(async () => {
  await server?.stop()
  server = undefined
  await rm(dir, { recursive: true })
})
const strays: TestWebServer[] = []
afterAll(() => Promise.all(strays.map((stray) => stray.stop())))

const serve = async (listener: RequestListener): Promise<TestWebServer> => {
  server = await startWebServer(certificate, listener)
  return server
}

const never = new AbortController().signal
const target = () => join(dir, 'image')
const download = (url: string, more: Partial<Download> = {}) =>
  downloadFile({
    ...{ url, digest, target: target(), signal: never, onProgress: () => {} },
    ...more,
    web: { ca: certificate.cert, ...more.web },
  })

const whole = (response: ServerResponse): void => {
  response.writeHead(200, { 'content-length': content.length }).end(content)
}

/** Sends so much of the rest and then breaks the connection. */
const part = (response: ServerResponse, from: number, length: number, headers: object): void => {
  const status = from === 0 ? 200 : 206
  const range = from === 0 ? {} : { 'content-range': `bytes ${from}-${content.length - 1}/${content.length}` }
  response.writeHead(status, { 'content-length': content.length - from, ...range, ...headers })
  response.write(content.subarray(from, from + length), () => setTimeout(() => response.destroy(), 20))
}

const failure = async (attempt: Promise<unknown>): Promise<FileError> => {
  const error = await attempt.then(
    () => undefined,
    (thrown: unknown) => thrown,
  )
  if (!(error instanceof FileError)) throw new Error('no FileError', { cause: error })
  expect(await readdir(dir)).toEqual([])
  return error
}

describe('a file with the right sum', () => {
  test('comes whole, without credentials, and is for root alone', async () => {
    const { url, requests } = await serve((_, response) => whole(response))
    expect(await download(`${url}/tools.sif`)).toEqual({ sizeBytes: content.length })
    expect((await readFile(target())).equals(content)).toBe(true)
    expect(requests.map(({ line }) => line)).toEqual(['GET /tools.sif'])
    expect(requests[0]?.headers).not.toHaveProperty('authorization')
    expect(requests[0]?.headers['accept-encoding']).toBe('identity')
  })

  test('comes through redirects to other servers', async () => {
    const other = await startWebServer(certificate, (_, response) => whole(response))
    strays.push(other)
    const { url } = await serve((_, response) => response.writeHead(302, { location: `${other.url}/b` }).end())
    expect(await download(`${url}/a`)).toEqual({ sizeBytes: content.length })
  })

  test('may come without its length being told', async () => {
    const { url } = await serve((_, response) => response.writeHead(200).end(content))
    expect(await download(url)).toEqual({ sizeBytes: content.length })
  })

  test('is continued where the connection broke', async () => {
    const { url, requests } = await serve(({ headers }, response) => {
      const from = Number(/^bytes=(\d+)-$/.exec(headers.range ?? '')?.[1] ?? 0)
      part(response, from, 2 ** 20, { etag: '"v1"' })
    })
    const lines: string[] = []
    expect(await download(url, { onProgress: (line) => lines.push(line) })).toEqual({ sizeBytes: content.length })
    const [first, ...more] = requests.map(({ headers }) => headers['if-range'])
    expect(first).toBeUndefined()
    expect([...new Set(more)]).toEqual(['"v1"'])
    expect((await readFile(target())).equals(content)).toBe(true)
    expect(lines).toContainEqual(expect.stringMatching(/^the connection to 127\.0\.0\.1:\d+ broke, and is made again$/))
  })

  test('begins anew where the server cannot continue', async () => {
    let asked = 0
    const { url } = await serve((_, response) => (++asked === 1 ? part(response, 0, 2 ** 20, {}) : whole(response)))
    expect(await download(url)).toEqual({ sizeBytes: content.length })
    expect((await readFile(target())).equals(content)).toBe(true)
  })

  test('tells how far it is, in MiB and per cent', async () => {
    const { url } = await serve((_, response) => {
      response.writeHead(200, { 'content-length': content.length }).write(content.subarray(0, 2 ** 20))
      setTimeout(() => response.end(content.subarray(2 ** 20)), 1_200)
    })
    const lines: string[] = []
    await download(url, { onProgress: (line) => lines.push(line) })
    expect(lines[0]).toMatch(/^downloaded [23] MiB of 3 MiB \(\d+ %\)$/)
  })
})

describe('a file that is not to be had leaves nothing, and says why', () => {
  test('another sum: both are named', async () => {
    const { url } = await serve((_, response) => response.end('something else'))
    const { kind, message } = await failure(download(url))
    expect(kind).toBe('Mismatch')
    expect(message).toContain(digest)
    expect(message).toContain(`sha256:${sha256(Buffer.from('something else'))}`)
    expect(message).toContain('correct spec.source.file.sha256')
  })

  test.each([
    [404, 'NotFound', /says 404 to .*check spec\.source\.file\.url/],
    [403, 'Unauthorized', /sends no credentials, so the file must be open to all/],
    [503, 'Unreachable', /tried again/],
    [418, 'Other', /says 418/],
  ])('%i', async (status, kind, words) => {
    const { url } = await serve((_, response) => response.writeHead(status).end())
    const error = await failure(download(url))
    expect(error).toMatchObject({ kind, message: expect.stringMatching(words) })
  })

  test.each([401, 403])('%i to a signed URL: the signature is to be renewed', async (status) => {
    const { url } = await serve((_, response) => response.writeHead(status).end())
    expect(await failure(download(`${url}/a.sif?X-Amz-Signature=secret`))).toMatchObject({
      kind: 'Unauthorized',
      message: expect.stringMatching(
        /\/a\.sif\?…: the signature .* may have run out: renew it in spec\.source\.file\.url$/,
      ),
    })
  })

  test('403 after a redirect that the server has signed itself: nothing is to be renewed', async () => {
    const { url } = await serve(({ url: asked }, response) =>
      asked === '/a' ? response.writeHead(302, { location: '/b?token=theirs' }).end() : response.writeHead(403).end(),
    )
    expect(await failure(download(`${url}/a`))).toMatchObject({ message: expect.stringContaining('open to all') })
  })

  test('a redirect to http', async () => {
    const { url } = await serve((_, response) => response.writeHead(302, { location: 'http://127.0.0.1/x' }).end())
    expect(await failure(download(url))).toMatchObject({ message: expect.stringContaining('which is not https') })
  })

  test('redirects without end', async () => {
    const { url } = await serve((_, response) => response.writeHead(302, { location: '/again' }).end())
    expect(await failure(download(url))).toMatchObject({ message: expect.stringContaining('more than 10 redirects') })
  })

  test('a certificate of an authority that nobody knows', async () => {
    const { url } = await serve((_, response) => whole(response))
    const error = await failure(download(url, { web: { ca: makeCertificate().cert } }))
    expect(error).toMatchObject({ kind: 'Unreachable', message: expect.stringContaining('extraCaCerts') })
  })

  test('a connection that always breaks at the same byte', async () => {
    const { url, requests } = await serve((_, response) => part(response, 0, 1000, {}))
    expect(await failure(download(url))).toMatchObject({ kind: 'Unreachable' })
    expect(requests).toHaveLength(5)
  })

  test('a connection that breaks a byte later each time, and begins anew', async () => {
    let asked = 0
    const { url } = await serve((_, response) => part(response, 0, 1000 + ++asked, {}))
    expect(await failure(download(url))).toMatchObject({ kind: 'Unreachable' })
    expect(asked).toBe(5)
  })

  test('a server that falls silent', async () => {
    const { url } = await serve((_, response) => {
      response.writeHead(200, { 'content-length': content.length }).write(content.subarray(0, 1000))
    })
    const error = await failure(download(url, { web: { pace: { silenceMs: 300 } } }))
    expect(error).toMatchObject({
      kind: 'Unreachable',
      message: expect.stringMatching(/cannot be reached \(nothing came for/),
    })
  })

  test('a server that brings hardly anything, a byte at a time', async () => {
    const { url } = await serve((_, response) => {
      response.writeHead(200, { 'content-length': content.length })
      const trickle = setInterval(() => response.write('x'), 10)
      response.on('close', () => clearInterval(trickle))
    })
    const error = await failure(download(url, { web: { pace: { windowMs: 600, bytesPerSecond: 10_000 } } }))
    expect(error).toMatchObject({
      kind: 'Unreachable',
      message: expect.stringContaining('only 1 KiB came within 0.6 s'),
    })
  })

  test('a server that does not come to an end with its headers', async () => {
    const stray = createServer(certificate, (socket) => {
      socket.on('error', () => {}).write('HTTP/1.1 200 OK\r\n')
      const trickle = setInterval(() => socket.write('x: y\r\n'), 20)
      socket.on('close', () => clearInterval(trickle))
    }).listen(0, '127.0.0.1')
    await once(stray, 'listening')
    const address = stray.address()
    const url = `https://127.0.0.1:${typeof address === 'object' ? address?.port : ''}/x`
    try {
      const error = await failure(download(url, { web: { pace: { silenceMs: 400 } } }))
      expect(error).toMatchObject({ kind: 'Unreachable', message: expect.stringContaining('nothing came for 0.4 s') })
    } finally {
      stray.close()
    }
  })

  test('by a signed URL: the signature is in no message', async () => {
    const { url } = await serve((_, response) => response.end('something else'))
    const { message } = await failure(download(`${url}/a.sif?X-Amz-Signature=secret`))
    expect(message).toContain('/a.sif?… gives has')
    expect(message).not.toContain('secret')
  })

  test('through a redirect to http with a signature: it is in no message', async () => {
    const location = 'http://127.0.0.1/x?token=secret'
    const { url } = await serve((_, response) => response.writeHead(302, { location }).end())
    const { message } = await failure(download(`${url}/a?token=secret`))
    expect(message).toContain('leads to "http://127.0.0.1/x"')
    expect(message).not.toContain('secret')
  })

  test('a stop', async () => {
    const { url } = await serve((_, response) => {
      response.writeHead(200, { 'content-length': content.length }).write(content.subarray(0, 1000))
    })
    await expect(download(url, { signal: AbortSignal.timeout(150) })).rejects.toThrow(/timeout/)
    expect(await readdir(dir)).toEqual([])
  })
})

describe('a disk that is too small', () => {
  const large = randomBytes(12 * 2 ** 20)
  const onSmallDisk = (about: string, listener: RequestListener) =>
    withSmallDisk({ mebibytes: 8 }, async (disk) => {
      const { url } = await serve(listener)
      const attempt = download(url, { target: join(disk, 'image') })
      await expect(attempt).rejects.toThrow(NoSpaceError)
      await expect(attempt).rejects.toThrow(new RegExp(`the image takes ${about} \\d+ MiB there, and \\d MiB are free`))
      expect(await readdir(disk)).toEqual(['lost+found'])
    })

  test('is told before anything is written, when the server tells the length', async () => {
    await onSmallDisk('about', (_, response) => response.writeHead(200, { 'content-length': large.length }).end(large))
  })

  test('is told when it is full, and is as it was before, when the server does not', async () => {
    await onSmallDisk('more than', (_, response) => response.writeHead(200).end(large))
  })
})
