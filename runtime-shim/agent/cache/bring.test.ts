import { readdirSync, readFileSync, statSync } from 'node:fs'
import { basename, join } from 'node:path'
import { afterAll, afterEach, beforeAll, beforeEach, expect, test, vi } from 'vitest'
import { systemClock } from '../../../kube/clock.ts'
import { wholeDisk } from '../../image/space.ts'
import { sha256 } from '../../image/testing/image.ts'
import { makeCertificate, startWebServer, type TestWebServer } from '../../image/testing/web-server.ts'
import type { NodeLayout } from '../../node/layout.ts'
import { bringImage } from './bring.ts'
import { cacheRoot, entryOf } from './entry.ts'
import { createImageCache } from './images.ts'
import { unobserved } from './observer.ts'
import { makeLayout, removeLayout } from './testing/plant.ts'

/** Files from a web server, the whole way into the cache. */

const fixtures = join(import.meta.dirname, '../../../test/fixtures')
const sif = readFileSync(join(fixtures, 'minimal.sif'))
const page = Buffer.from('<!DOCTYPE html><html>Please log in</html>')
const files = new Map([
  ['tools.sif', sif],
  ['login', page],
])

const certificate = makeCertificate()
const slowClosed = Promise.withResolvers<void>()
let server: TestWebServer
beforeAll(async () => {
  server = await startWebServer(certificate, ({ url = '' }, response) => {
    if (url !== '/slow') return response.end(files.get(basename(url)))
    response.on('close', slowClosed.resolve)
    return response.writeHead(200).write('a little')
  })
})
afterAll(() => server.stop())

let layout: NodeLayout
beforeEach(() => {
  layout = makeLayout()
})
afterEach(() => removeLayout(layout))

const forever = new AbortController().signal
const ensure = (name: string, content: Buffer, signal = forever) => {
  const digest = `sha256:${sha256(content)}`
  const images = createImageCache({
    ...{ layout, clock: systemClock, observer: unobserved, collector: { makeRoom: () => 0, roomFor: () => wholeDisk } },
    fetch: (wanted) => bringImage(wanted, { ca: certificate.cert }),
  })
  const reference = `${server.url}/${name}@${digest}`
  return images.ensure({ reference, digest, withAuthFile: (act) => act(undefined), onProgress: () => {} }, signal)
}

test('a SIF lies there as it came, for root alone, and runs as root', async () => {
  expect(await ensure('tools.sif', sif)).toEqual({ user: '' })
  const { file, meta } = entryOf(layout, `sha256:${sha256(sif)}`)
  expect(readFileSync(file).equals(sif)).toBe(true)
  expect(statSync(file)).toMatchObject({ mode: 0o100400, uid: 0 })
  expect(JSON.parse(readFileSync(meta, 'utf8'))).toMatchObject({ fileDigest: `sha256:${sha256(sif)}` })
})

test('what has the right sum and is no image is refused, and leaves nothing', async () => {
  await expect(ensure('login', page)).rejects.toMatchObject({
    reason: 'ImageNotConverted',
    message: expect.stringMatching(
      /^what came as sha256:\w+ is no image that can be mounted: .*it looks like a web page/,
    ),
  })
  expect(readdirSync(cacheRoot(layout))).toEqual([])
})

test('another sum than the one asked for is told, and leaves nothing', async () => {
  await expect(ensure('tools.sif', page)).rejects.toMatchObject({ reason: 'ImageDigestMismatch' })
  expect(readdirSync(cacheRoot(layout))).toEqual([])
})

test('what nobody waits for any more ends its connection, and leaves nothing', async () => {
  const ending = new AbortController()
  const asked = ensure('slow', page, ending.signal)
  await vi.waitFor(() => expect(server.requests.at(-1)?.line).toBe('GET /slow'))
  ending.abort()
  expect(await asked).toBeUndefined()
  await slowClosed.promise
  await vi.waitFor(() => expect(readdirSync(cacheRoot(layout))).toEqual([]))
})
