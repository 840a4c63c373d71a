import { mkdtemp, readdir, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { CacheFullError, NoSpaceError } from './errors.ts'
import { fetchImage } from './fetch.ts'
import { freeBytes } from './space.ts'
import { withSmallDisk } from './testing/small-disk.ts'
import { makeCertificate, startWebServer, type TestWebServer } from './testing/web-server.ts'

const mebi = 2 ** 20
const certificate = makeCertificate()

/** Sends for as long as somebody takes it, and does not say how much it will be. */
let server: TestWebServer
let dir: string
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'lamina-space-'))
  server = await startWebServer(certificate, ({ url }, response) => {
    if (url === '/known') response.setHeader('content-length', 40 * mebi)
    // What has not been taken yet is not added to: it would come all at once, faster than any look.
    const sending = setInterval(() => response.writableNeedDrain || response.write(Buffer.alloc(mebi, 1)), 20)
    response.on('close', () => clearInterval(sending))
  })
})
afterEach(async () => {
  await server.stop()
  await rm(dir, { recursive: true })
})

const fetch = (into: string, path: string, room: { keepFree?: number; most?: number }) => {
  const digest = `sha256:${'0'.repeat(64)}`
  return fetchImage({
    ...{ reference: `${server.url}${path}@${digest}`, digest, target: join(into, 'image'), scratchDir: into },
    ...{ access: { scratchDir: into }, signal: new AbortController().signal, onProgress: () => {} },
    ...{ room: { keepFree: 0, most: Number.POSITIVE_INFINITY, ...room }, web: { ca: certificate.cert } },
  })
}

describe('a file without an end', () => {
  test('is stopped before the disk is full: a reserve stays free, and nothing is left of it', async () => {
    await withSmallDisk({ mebibytes: 64 }, async (disk) => {
      const keepFree = 30 * mebi
      let least = Number.POSITIVE_INFINITY
      const looking = setInterval(() => {
        least = Math.min(least, freeBytes(disk))
      }, 10)
      const attempt = fetch(disk, '/unknown', { keepFree })
      await expect(attempt).rejects.toThrow(NoSpaceError)
      await expect(attempt).rejects.toThrow(/\d+ MiB are free, of which 30 MiB stay free: make room on that disk/)
      clearInterval(looking)
      // A look every 200 ms, at 50 MiB a second.
      expect(least).toBeGreaterThan(keepFree - 20 * mebi)
      expect(await readdir(disk)).toEqual(['lost+found'])
    })
  })

  test('is stopped at what the cache may still take', async () => {
    const attempt = fetch(dir, '/unknown', { most: 5 * mebi })
    await expect(attempt).rejects.toThrow(CacheFullError)
    await expect(attempt).rejects.toThrow(/room for 5 MiB .*agent\.cache\.maxSize/)
    expect(await readdir(dir)).toEqual([])
  })
})

describe('a file of which the server tells the length', () => {
  test.each([
    ['the disk has not above its reserve', { keepFree: Number.MAX_SAFE_INTEGER }, NoSpaceError],
    ['the cache may not take', { most: 39 * mebi }, CacheFullError],
  ])('that %s is not begun', async (_, room, kind) => {
    await expect(fetch(dir, '/known', room)).rejects.toThrow(kind)
    expect(await readdir(dir)).toEqual([])
  })
})
