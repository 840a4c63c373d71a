import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import { text } from 'node:stream/consumers'
import { KubeConfig } from '@kubernetes/client-node'
import { afterEach, describe, expect, test, vi } from 'vitest'
import { ApiError } from './api-error.ts'
import { createMetrics } from './metrics.ts'
import { isAddressInfo } from './server.ts'
import { createManualClock } from './testing/manual-clock.ts'
import { createTransport, MayNotWriteError, type TransportOptions } from './transport.ts'

type Handler = (request: IncomingMessage, response: ServerResponse) => void

let cleanups: (() => void)[] = []
afterEach(() => {
  for (const cleanup of cleanups) cleanup()
  cleanups = []
})

/** A server of our own, for answers that a healthy API server gives too rarely. */
const serve = async (handler: Handler, options: Partial<TransportOptions> = {}) => {
  const server = createServer(handler)
  let connections = 0
  server.on('connection', () => connections++)
  await new Promise<void>((resolve) => {
    server.listen(0, '127.0.0.1', resolve)
  })
  cleanups.push(() => {
    server.close()
    server.closeAllConnections()
  })
  const address = server.address()
  const port = isAddressInfo(address) ? address.port : 0
  const config = new KubeConfig()
  config.loadFromClusterAndUser(
    { name: 'test', server: `http://127.0.0.1:${port}/prefix/`, skipTLSVerify: true },
    { name: 'me', token: 'secret' },
  )
  const metrics = createMetrics()
  const transport = createTransport(config, {
    metrics,
    userAgent: 'lamina-test/1',
    timeoutMs: 5_000,
    random: () => 0,
    ...options,
  })
  return { transport, metrics, connections: () => connections }
}

const get = { method: 'GET', path: '/api/v1/things?limit=1' } as const
const patch = { method: 'PATCH', path: '/x', body: { contentType: 'application/json', json: { a: 1 } } } as const
const json = (response: ServerResponse, body: object, status = 200, headers = {}) =>
  response.writeHead(status, headers).end(JSON.stringify(body))
const failure = (promise: Promise<unknown>) =>
  promise.then(
    () => undefined,
    (error: unknown) => error,
  )

describe('a request', () => {
  test.each(['POST', 'PATCH', 'DELETE'] as const)(
    '%s goes below the cluster’s URL, with credentials, name and body',
    async (method) => {
      const { transport } = await serve(async (request, response) => {
        const { authorization, 'user-agent': agent, 'content-type': type } = request.headers
        json(response, {
          method: request.method,
          url: request.url,
          authorization,
          agent,
          type,
          body: await text(request),
        })
      })
      expect(await transport.send({ ...patch, method, body: { contentType: 'a/b', json: { a: 'ä' } } })).toEqual({
        method,
        url: '/prefix/x',
        authorization: 'Bearer secret',
        agent: 'lamina-test/1',
        type: 'a/b',
        body: '{"a":"ä"}',
      })
    },
  )

  test('500 at once share sixteen connections, and 500 in a row share one', async () => {
    const { transport, connections } = await serve((_request, response) => json(response, {}))
    for (let i = 0; i < 500; i++) await transport.send(get)
    expect(connections()).toBe(1)
    await Promise.all(Array.from({ length: 500 }, () => transport.send(get)))
    expect(connections()).toBeLessThanOrEqual(16)
  })

  test('refused by a Status gives its reason, code and words', async () => {
    const { transport } = await serve((_request, response) =>
      json(
        response,
        { kind: 'Status', code: 409, reason: 'Conflict', message: 'it has changed', details: { name: 'thing' } },
        409,
      ),
    )
    const error = await failure(transport.send(patch))
    expect(error).toBeInstanceOf(ApiError)
    expect(error).toMatchObject({ status: 409, reason: 'Conflict', subject: 'thing' })
    expect(String(error)).toContain('PATCH /x: it has changed (409 Conflict)')
  })

  test('refused without a Status is named by its code', async () => {
    const { transport } = await serve((_request, response) => response.writeHead(403).end('a proxy says no'))
    expect(await failure(transport.send(get))).toMatchObject({
      reason: 'Forbidden',
      message: 'GET /api/v1/things: a proxy says no (403 Forbidden)',
    })
  })

  test('answered by something that is no API server says what it saw', async () => {
    const { transport } = await serve((_request, response) => response.writeHead(200).end('<html>log in</html>'))
    expect(String(await failure(transport.send(get)))).toContain('the answer is not JSON: <html>log in')
  })

  test('is sent again when the server says when, also a write: it has not begun it', async () => {
    let asked = 0
    const { transport, metrics } = await serve((_request, response) =>
      ++asked < 3 ? json(response, {}, 429, { 'retry-after': '0' }) : json(response, { asked }),
    )
    expect(await transport.send(patch)).toEqual({ asked: 3 })
    const counted = await metrics.text()
    expect(counted).toMatch(/^rest_client_requests_total{method="PATCH",code="429",host="127\.0\.0\.1:\d+"} 2$/m)
    expect(counted).toMatch(/^rest_client_requests_total{method="PATCH",code="200",host="127\.0\.0\.1:\d+"} 1$/m)
  })

  test('that changes something is not sent, nor sent again, by whom may not write', async () => {
    let may = true
    const seen: (string | undefined)[] = []
    const { transport } = await serve(
      (request, response) => {
        seen.push(request.method)
        may = false
        json(response, {}, 429, { 'retry-after': '0' })
      },
      { mayWrite: () => may },
    )
    expect(await failure(transport.send(patch))).toBeInstanceOf(MayNotWriteError)
    expect(await failure(transport.send(patch))).toBeInstanceOf(MayNotWriteError)
    expect(seen, 'only once').toEqual(['PATCH'])
    expect(await failure(transport.send(get)), 'reads are free').toMatchObject({ reason: 'TooManyRequests' })
  })

  test('that is refused holds back all others for as long', async () => {
    const clock = createManualClock()
    let asked = 0
    const { transport } = await serve(
      (_request, response) =>
        ++asked === 1 ? json(response, {}, 429, { 'retry-after': '2' }) : json(response, { ok: true }),
      { clock },
    )
    const first = transport.send(patch)
    await vi.waitFor(() => expect(clock.pending()).toBe(1))
    const others = Array.from({ length: 20 }, () => transport.send(get))
    await clock.advance(1_999)
    expect(asked).toBe(1)
    await clock.advance(1)
    expect(await Promise.all([first, ...others])).toHaveLength(21)
    expect(asked).toBe(22)
  })

  test('refused for good names the flow that was too much', async () => {
    const flow = { 'x-kubernetes-pf-flowschema-uid': 'fs', 'x-kubernetes-pf-prioritylevel-uid': 'pl' }
    const { transport } = await serve((_request, response) => json(response, {}, 429, { 'retry-after': '0', ...flow }))
    expect(String(await failure(transport.send(patch)))).toContain(
      'PATCH /x [FlowSchema fs, PriorityLevelConfiguration pl]: ',
    )
  })

  test('is not sent again for ever, nor when the server does not say when', async () => {
    let asked = 0
    const patient = await serve((_request, response) => {
      asked++
      json(response, {}, 429, { 'retry-after': '0' })
    })
    expect(await failure(patient.transport.send(get))).toMatchObject({ reason: 'TooManyRequests' })
    expect(asked).toBe(6)

    asked = 0
    const silent = await serve((_request, response) => {
      asked++
      json(response, {}, 503)
    })
    expect(await failure(silent.transport.send(get))).toMatchObject({ reason: 'ServiceUnavailable' })
    expect(asked).toBe(1)
  })

  test('that meets a connection just closed is sent again if it changes nothing', async () => {
    const served = new WeakSet<object>()
    const closeSecond: Handler = (request, response) => {
      if (served.has(request.socket)) {
        request.socket.destroy()
        return
      }
      served.add(request.socket)
      json(response, { ok: true })
    }
    const { transport, connections } = await serve(closeSecond)
    await transport.send(get)
    expect(await transport.send(get)).toEqual({ ok: true })
    expect(connections()).toBe(2)
    expect(String(await failure(transport.send(patch)))).toContain('PATCH /x: no answer from http://127.0.0.1')
  })

  test('has a time limit, for the headers and for the body', async () => {
    for (const handler of [
      () => {},
      (_request: IncomingMessage, response: ServerResponse) => response.writeHead(200).write('{"half":'),
    ]) {
      const { transport } = await serve(handler, { timeoutMs: 100 })
      const started = performance.now()
      expect(await failure(transport.send(get))).toMatchObject({
        message: expect.stringContaining('no answer from'),
        cause: { name: 'TimeoutError' },
      })
      expect(performance.now() - started).toBeLessThan(2_000)
    }
  })

  test('to nobody says to whom, and why', async () => {
    const config = new KubeConfig()
    config.loadFromClusterAndUser({ name: 'test', server: 'http://127.0.0.1:1', skipTLSVerify: true }, { name: 'me' })
    const error = await failure(createTransport(config, { userAgent: 'x' }).send(get))
    expect(error).toMatchObject({
      message: 'GET /api/v1/things: no answer from http://127.0.0.1:1',
      cause: { code: 'ECONNREFUSED' },
    })
  })
})

describe('an answer of lines', () => {
  const collect = async (lines: AsyncIterable<string>): Promise<string[]> => {
    const all: string[] = []
    for await (const line of lines) all.push(line)
    return all
  }

  test('comes a line at a time, whatever the pieces it was sent in', async () => {
    const { transport } = await serve(async (_request, response) => {
      const bytes = Buffer.from('first\nsecond with ä\nthird\nhalf a li')
      for (const byte of bytes) {
        response.write(Buffer.from([byte]))
        await new Promise(setImmediate)
      }
      response.end()
    })
    expect(await collect(transport.lines('/w', new AbortController().signal))).toEqual([
      'first',
      'second with ä',
      'third',
    ])
  })

  test('ends with its signal, and closes the connection', async () => {
    const closed = Promise.withResolvers<void>()
    const { transport } = await serve((request, response) => {
      request.socket.once('close', () => closed.resolve())
      response.write('first\n')
    })
    const stop = new AbortController()
    const read = async () => {
      for await (const line of transport.lines('/w', stop.signal)) {
        expect(line).toBe('first')
        stop.abort()
      }
    }
    expect(await failure(read())).toMatchObject({ name: 'AbortError' })
    await closed.promise
  })

  test('that its reader leaves closes the connection', async () => {
    const closed = Promise.withResolvers<void>()
    const { transport } = await serve((request, response) => {
      request.socket.once('close', () => closed.resolve())
      response.write('first\n')
    })
    for await (const _line of transport.lines('/w', new AbortController().signal)) break
    await closed.promise
  })

  test('cut off in the middle is a failure', async () => {
    const { transport } = await serve((request, response) => {
      response.write('first\n', () => setTimeout(() => request.socket.destroy(), 20))
    })
    expect(await failure(collect(transport.lines('/w', new AbortController().signal)))).toBeInstanceOf(Error)
  })

  test('refused is an ApiError', async () => {
    const { transport } = await serve((_request, response) =>
      json(response, { kind: 'Status', code: 410, reason: 'Expired', message: 'too old' }, 410),
    )
    const lines = transport.lines('/w', new AbortController().signal)
    expect(await failure(collect(lines))).toMatchObject({ reason: 'Expired' })
  })

  test('many at once do not keep requests waiting', async () => {
    const { transport } = await serve((request, response) =>
      request.url?.endsWith('/w') ? response.write('first\n') : json(response, { ok: true }),
    )
    const stop = new AbortController()
    const watches = Array.from({ length: 40 }, () => failure(collect(transport.lines('/w', stop.signal))))
    await Promise.all(Array.from({ length: 100 }, () => transport.send(get)))
    stop.abort()
    await Promise.all(watches)
  })
})
