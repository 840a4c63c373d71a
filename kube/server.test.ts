import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { createMetrics } from './metrics.ts'
import { serveHealth } from './server.ts'
import { silentLog } from './testing/silent-log.ts'

describe('the health server', () => {
  const reasons: { ready: string[]; live: string[] } = { ready: [], live: [] }
  const metrics = createMetrics()
  let server: Awaited<ReturnType<typeof serveHealth>>
  beforeEach(async () => {
    reasons.ready = []
    reasons.live = []
    server = await serveHealth({
      port: 0,
      host: '127.0.0.1',
      metrics,
      ready: () => reasons.ready,
      live: () => reasons.live,
      log: silentLog,
    })
  })
  afterEach(() => server.close())
  const get = async (path: string) => {
    const response = await fetch(`http://127.0.0.1:${server.port}${path}`)
    return { status: response.status, type: response.headers.get('content-type'), body: await response.text() }
  }

  test('says ok when nothing speaks against it', async () => {
    expect(await get('/healthz')).toMatchObject({ status: 200, body: 'ok\n' })
    expect(await get('/readyz?verbose')).toMatchObject({ status: 200, body: 'ok\n' })
  })

  test('tells why it is not ready, or not well', async () => {
    reasons.ready = ['pods: not listed yet', 'no lease']
    expect(await get('/readyz')).toMatchObject({ status: 503, body: 'pods: not listed yet\nno lease\n' })
    expect(await get('/healthz')).toMatchObject({ status: 200 })
    reasons.live = ['stuck']
    expect(await get('/healthz')).toMatchObject({ status: 503, body: 'stuck\n' })
  })

  test('serves the metrics, the process’s own among them, in Prometheus’ text form', async () => {
    metrics.counter('lamina_test_total', 'Of this test.', ['what']).inc({ what: 'a "quoted" one' }, 2)
    const { status, type, body } = await get('/metrics')
    expect(status).toBe(200)
    expect(type).toContain('text/plain; version=0.0.4')
    expect(body).toContain('lamina_test_total{what="a \\"quoted\\" one"} 2')
    expect(body).toContain('process_resident_memory_bytes')
  })

  test('knows no other path', async () => {
    expect(await get('/')).toMatchObject({ status: 404 })
  })

  test('a port that is taken is an error of the start', async () => {
    const start = serveHealth({
      port: server.port,
      host: '127.0.0.1',
      metrics,
      ready: () => [],
      live: () => [],
      log: silentLog,
    })
    await expect(start).rejects.toThrow('EADDRINUSE')
  })
})
