import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { basename, join } from 'node:path'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test, vi } from 'vitest'
import { wholeDisk } from '../../image/space.ts'
import { sha256 } from '../../image/testing/image.ts'
import { makeCertificate, startWebServer, type TestWebServer } from '../../image/testing/web-server.ts'
import { createFetchApart } from './fetch-apart.ts'
import type { FetchImage } from './make.ts'

const program = join(import.meta.dirname, 'fetcher/main.ts')
const sif = readFileSync(join(import.meta.dirname, '../../../test/fixtures/minimal.sif'))
const certificate = makeCertificate()

let server: TestWebServer
let closed: PromiseWithResolvers<void>
beforeAll(async () => {
  server = await startWebServer(certificate, ({ url = '' }, response) => {
    if (url === '/tools.sif') return response.end(sif)
    if (url !== '/slow') return response.writeHead(404).end()
    response.on('close', () => closed.resolve())
    return response.writeHead(200, { 'content-length': 2 ** 20 }).write(Buffer.alloc(2 ** 16))
  })
})
afterAll(() => server.stop())

let dir: string
beforeEach(() => {
  closed = Promise.withResolvers()
  server.requests.length = 0
  dir = mkdtempSync(join(tmpdir(), 'lamina-fetch-apart-'))
  writeFileSync(join(dir, 'ca.pem'), certificate.cert)
})
afterEach(() => rmSync(dir, { recursive: true }))

const forever = new AbortController().signal
const digest = `sha256:${sha256(sif)}`

const asked = (name: string, more: Partial<Parameters<FetchImage>[0]> = {}): Parameters<FetchImage>[0] => ({
  ...{ reference: `${server.url}/${name}@${digest}`, digest, target: join(dir, 'image'), scratchDir: dir },
  ...{ access: { scratchDir: dir }, room: wholeDisk, signal: forever, onProgress: () => {} },
  ...more,
})
const environment = () => ({ ...process.env, NODE_EXTRA_CA_CERTS: join(dir, 'ca.pem') })
const fetchApart: FetchImage = (wanted) => createFetchApart(forever, program, environment())(wanted)

/** What has come of it. */
const files = (): string[] => readdirSync(dir).filter((name) => name !== 'ca.pem')

/** Not those that have ended, and of whom nobody has asked how. */
const fetchers = (...options: string[]): number[] => {
  const all = ['--full', program, '--runstates', 'R,S,D', ...options]
  return (spawnSync('pgrep', all, { encoding: 'utf8' }).stdout.match(/\d+/g) ?? []).map(Number)
}
const fetchersOf = (pid: number): number[] => fetchers('--parent', String(pid))

const hasBegun = () => vi.waitFor(() => expect(server.requests.at(-1)?.line).toBe('GET /slow'), 20_000)

describe('by a process of its own', { timeout: 40_000 }, () => {
  test('an image is brought as in this one', async () => {
    expect(await fetchApart(asked('tools.sif'))).toEqual({
      ...{ sizeBytes: sif.length, fetchedBytes: sif.length, user: '', fileDigest: digest },
    })
    expect(readFileSync(join(dir, 'image')).equals(sif)).toBe(true)
    expect(statSync(join(dir, 'image')).mode).toBe(0o100400)
    expect(fetchersOf(process.pid)).toEqual([])
  })

  test('what keeps it from that is the same error', async () => {
    await expect(fetchApart(asked('nothing'))).rejects.toMatchObject({ name: 'FileError', kind: 'NotFound' })
    const narrow = { keepFree: 0, most: 1000 }
    await expect(fetchApart(asked('tools.sif', { room: narrow }))).rejects.toMatchObject({
      name: 'CacheFullError',
      lacking: sif.length - 1000,
    })
    await expect(fetchApart(asked('tools.sif', { target: join(dir, 'no/image') }))).rejects.toMatchObject({
      code: 'ENOENT',
    })
    expect(files()).toEqual([])
  })

  test('how far it is is told', async () => {
    const lines: string[] = []
    const ending = new AbortController()
    const fetched = fetchApart(asked('slow', { signal: ending.signal, onProgress: (line) => lines.push(line) }))
    fetched.catch(() => {})
    await hasBegun()
    server.closeConnections()
    await vi.waitFor(() => expect(lines).toContainEqual(expect.stringMatching(/^the connection to .* broke/)), 20_000)
    ending.abort()
    await expect(fetched).rejects.toThrow()
  })

  test('that nobody wants it any more ends it, and leaves nothing', async () => {
    const ending = new AbortController()
    const fetched = fetchApart(asked('slow', { signal: ending.signal }))
    await hasBegun()
    ending.abort(new Error('called off'))
    await expect(fetched).rejects.toThrow('called off')
    expect(fetchersOf(process.pid)).toEqual([])
    expect(files()).toEqual([])
    await closed.promise
  })

  test('one that is killed says so', async () => {
    const fetched = fetchApart(asked('slow'))
    fetched.catch(() => {})
    await hasBegun()
    for (const pid of fetchersOf(process.pid)) process.kill(pid, 'SIGKILL')
    await expect(fetched).rejects.toThrow('the image fetcher ended with SIGKILL')
  })
})

/** An agent that fetches `/slow`. */
const startAgent = async (): Promise<ChildProcess> => {
  const script = join(import.meta.dirname, 'testing/fetch-once.ts')
  const { signal, onProgress, ...request } = asked('slow')
  const child = spawn(process.execPath, [script, JSON.stringify(request)], { stdio: 'inherit', env: environment() })
  await hasBegun()
  return child
}

describe('with the agent', { timeout: 40_000 }, () => {
  test.each(['SIGKILL', 'SIGTERM'] as const)('it ends, too (%s)', async (how) => {
    const agent = await startAgent()
    const [fetcher = 0] = fetchersOf(agent.pid ?? 0)
    expect(readFileSync(`/proc/${fetcher}/comm`, 'utf8')).toMatch(basename(process.execPath))
    agent.kill(how)
    await once(agent, 'exit')
    await closed.promise
    await vi.waitFor(() => expect(fetchers('--pgroup', String(fetcher))).toEqual([]), 5_000)
  })
})
