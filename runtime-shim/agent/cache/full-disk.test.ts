import { execFileSync } from 'node:child_process'
import {
  closeSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  rmSync,
  statfsSync,
  utimesSync,
  writeSync,
} from 'node:fs'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { systemClock } from '../../../kube/clock.ts'
import { mountSmallDisk } from '../../../test/node/small-disk.ts'
import { sha256 } from '../../image/testing/image.ts'
import { makeCertificate, startWebServer, type TestWebServer } from '../../image/testing/web-server.ts'
import { hasCode } from '../../mount/error-code.ts'
import type { NodeLayout } from '../../node/layout.ts'
import { bringImage } from './bring.ts'
import { createCollector } from './collector.ts'
import { cacheRoot, entryOf } from './entry.ts'
import type { WantedImage } from './images.ts'
import type { FetchImage } from './make.ts'
import { type CacheObserver, unobserved } from './observer.ts'
import { bringBytes, digestOf, forever, makeCache, wanted } from './testing/images.ts'
import { makeLayout, removeLayout } from './testing/plant.ts'

let layout: NodeLayout
const images = () => cacheRoot(layout)
beforeEach(() => {
  layout = makeLayout()
})
afterEach(() => removeLayout(layout))

/** Writes until not one block is left. */
const fill = (path: string): void => {
  const fd = openSync(path, 'w')
  try {
    for (const size of [2 ** 20, 2 ** 10]) {
      try {
        for (;;) writeSync(fd, Buffer.alloc(size))
      } catch (error) {
        if (!hasCode(error, 'ENOSPC')) throw error
      }
    }
  } finally {
    closeSync(fd)
  }
}

/** The cache on a disk of its own. */
const onSmallDisk = async (act: () => Promise<void>, mebibytes = 8): Promise<void> => {
  mkdirSync(images(), { recursive: true })
  const unmount = mountSmallDisk(images(), mebibytes)
  try {
    rmSync(join(images(), 'lost+found'), { recursive: true })
    await act()
  } finally {
    unmount()
  }
}

const megabytes =
  (count: number): FetchImage =>
  ({ target }) =>
    bringBytes(target, Buffer.alloc(count * 2 ** 20, 1))
const limits = { maxBytes: Number.POSITIVE_INFINITY, highPercent: 85, lowPercent: 75 }
const collecting = (observer: Partial<CacheObserver> = {}) =>
  createCollector({ layout, limits, clock: systemClock, observer: { ...unobserved, ...observer } })
const longUnused = (letter: string) => {
  const then = new Date(Date.now() - 3_600_000)
  utimesSync(entryOf(layout, digestOf(letter)).meta, then, then)
}

describe('a disk without room', () => {
  test('leaves it as it was when there is none for the image', async () => {
    await onSmallDisk(async () => {
      await expect(makeCache(layout, megabytes(16)).ensure(wanted(), forever)).rejects.toMatchObject({
        reason: 'ImageNoSpace',
      })
      expect(readdirSync(images())).toEqual([])
    })
  })

  test('leaves it as it was when there is none for what is known of the image', async () => {
    await onSmallDisk(async () => {
      const filler = join(images(), '.filler')
      const fetch: FetchImage = async ({ target }) => {
        const brought = await bringBytes(target, 'squashfs')
        // From here on the disk takes not even meta.json.
        fill(filler)
        return brought
      }
      await expect(makeCache(layout, fetch).ensure(wanted(), forever)).rejects.toMatchObject({ reason: 'ImageNoSpace' })
      expect(readdirSync(images())).toEqual(['.filler'])
    })
  })

  test('gets some from images that nobody uses, and the work is tried once more', async () => {
    await onSmallDisk(async () => {
      const collected: string[] = []
      const collector = collecting({ onCollected: ({ digest }) => collected.push(digest) })
      await makeCache(layout, megabytes(3)).ensure(wanted('a'), forever)
      longUnused('a')
      const lines: string[] = []
      const cache = makeCache(layout, megabytes(4), { collector })
      const made = cache.ensure(wanted('b', { onProgress: (line) => lines.push(line) }), forever)
      expect(await made).toEqual({ user: '' })
      expect(collected).toEqual([digestOf('a')])
      expect(cache.find(digestOf('a'))).toBeUndefined()
      expect(lines).toEqual([expect.stringContaining('trying once more')])
    })
  })

  test('gets none from images that were used a moment ago', async () => {
    await onSmallDisk(async () => {
      await makeCache(layout, megabytes(3)).ensure(wanted('a'), forever)
      const cache = makeCache(layout, megabytes(4), { collector: collecting() })
      await expect(cache.ensure(wanted('b'), forever)).rejects.toMatchObject({ reason: 'ImageNoSpace' })
      expect(cache.find(digestOf('a'))).toBeDefined()
    })
  })
})

describe('a disk that is almost as full as it may be', () => {
  const certificate = makeCertificate()
  const sif = readFileSync(join(import.meta.dirname, '../../../test/fixtures/minimal.sif'))
  let server: TestWebServer
  beforeAll(async () => {
    server = await startWebServer(certificate, ({ url }, response) => {
      if (url === '/tools.sif') return response.writeHead(200, { 'content-length': sif.length }).end(sif)
      if (url === '/lying') return response.writeHead(200, { 'content-length': 10 ** 14 }).write('a little')
      const sending = setInterval(() => response.write(Buffer.alloc(2 ** 18, 1)), 20)
      return response.on('close', () => clearInterval(sending))
    })
  })
  afterAll(() => server.stop())

  const newCache = () =>
    makeCache(layout, (asked) => bringImage(asked, { ca: certificate.cert }), { collector: collecting() })
  const ask = (path: string, more: Partial<WantedImage>, cache = newCache()) => {
    const digest = `sha256:${sha256(sif)}`
    return cache.ensure(wanted('a', { digest, reference: `${server.url}${path}@${digest}`, ...more }), forever)
  }

  test('takes no prefetch above the high mark, and takes what a start waits for', async () => {
    await onSmallDisk(async () => {
      const { blocks, bavail, bsize } = statfsSync(images())
      const allButTenth = Math.floor(bavail - blocks * 0.1) * bsize
      execFileSync('fallocate', ['-l', String(allButTenth), join(images(), '.something-else')])
      await expect(ask('/tools.sif', { beforehand: true })).rejects.toMatchObject({
        reason: 'ImageNoSpace',
        message: expect.stringMatching(/MiB are free, of which \d MiB stay free/),
      })
      expect(readdirSync(images())).toEqual(['.something-else'])
      expect(await ask('/tools.sif', {})).toEqual({ user: '' })
    }, 32)
  })

  test.each([true, false])(
    'loses nothing to a server that tells of more than can be (prefetch: %s)',
    async (beforehand) => {
      await onSmallDisk(async () => {
        await makeCache(layout, megabytes(3)).ensure(wanted('b'), forever)
        longUnused('b')
        await expect(ask('/lying', { beforehand })).rejects.toMatchObject({ reason: 'ImageNoSpace' })
        expect(readdirSync(images())).toHaveLength(1)
      }, 64)
    },
  )

  test.each([true, false])(
    'is not filled by a file without an end (prefetch: %s)',
    async (beforehand) => {
      await onSmallDisk(async () => {
        await makeCache(layout, megabytes(3)).ensure(wanted('b'), forever)
        longUnused('b')
        const cache = newCache()
        const told = {
          reason: 'ImageNoSpace',
          message: expect.stringMatching(/the image takes more than \d+ MiB there/),
        }
        await expect(ask('/endless', { beforehand }, cache)).rejects.toMatchObject(told)
        const { length } = server.requests
        await expect(ask('/endless', { beforehand }, cache)).rejects.toMatchObject(told)
        expect(server.requests).toHaveLength(length)
        // A prefetch drives out nothing for what may never come to an end.
        expect(readdirSync(images())).toHaveLength(beforehand ? 1 : 0)
      }, 64)
    },
    30_000,
  )
})
