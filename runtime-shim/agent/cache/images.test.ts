import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { CacheFullError, FileError, NoSpaceError, RegistryError } from '../../image/errors.ts'
import { sha256 } from '../../image/testing/image.ts'
import type { NodeLayout } from '../../node/layout.ts'
import { cacheRoot, entryOf, sweepImageCache } from './entry.ts'
import type { CacheParts } from './images.ts'
import type { FetchImage } from './make.ts'
import { type CacheObserver, type Corruption, unobserved } from './observer.ts'
import { createConversions } from './testing/conversions.ts'
import { digestOf, forever, instantly, makeCache, wanted } from './testing/images.ts'
import { makeLayout, removeLayout } from './testing/plant.ts'

let layout: NodeLayout
const images = () => cacheRoot(layout)
beforeEach(() => {
  layout = makeLayout()
})
afterEach(() => removeLayout(layout))

const directoryOf = (letter: string) => entryOf(layout, digestOf(letter)).dir
const cacheOf = (fetch: FetchImage, observer: Partial<CacheObserver> = {}, more: Partial<CacheParts> = {}) =>
  makeCache(layout, fetch, { observer: { ...unobserved, ...observer }, ...more })

describe('an image that is not there', () => {
  test('appears whole, with the user that its configuration names', async () => {
    const { cache, ends, settled, started } = createConversions(layout)
    const made = cache.ensure(wanted(), forever)
    await settled(1)
    expect(cache.find(digestOf('a'))).toBeUndefined()
    expect(started[0]?.target.startsWith(join(images(), '.making-'))).toBe(true)
    ends[0]?.()
    expect(await made).toEqual({ user: 'worker' })
    expect(readFileSync(join(directoryOf('a'), 'image'), 'utf8')).toBe('squashfs')
    expect(JSON.parse(readFileSync(join(directoryOf('a'), 'meta.json'), 'utf8'))).toEqual({
      reference: wanted().reference,
      sizeBytes: 8,
      user: 'worker',
      fileDigest: `sha256:${sha256(Buffer.from('squashfs'))}`,
    })
    expect(cache.find(digestOf('a'))).toEqual({ user: 'worker' })
  })

  test('is converted once however many ask, and each hears of the progress', async () => {
    const { cache, ends, settled, started } = createConversions(layout)
    const heard: string[] = []
    const asked = ['one', 'two', 'three'].map((name) =>
      cache.ensure(wanted('a', { onProgress: (line) => heard.push(`${name}: ${line}`) }), forever),
    )
    await settled(1)
    started[0]?.onProgress('layer 1 of 2')
    expect(heard).toEqual(['one: layer 1 of 2', 'two: layer 1 of 2', 'three: layer 1 of 2'])
    ends[0]?.()
    expect(await Promise.all(asked)).toEqual(Array(3).fill({ user: 'worker' }))
    expect(await cache.ensure(wanted(), forever)).toBeDefined()
    expect(started).toHaveLength(1)
  })

  test('waits its turn: two are converted at a time', async () => {
    const { cache, ends, settled } = createConversions(layout)
    const asked = ['a', 'b', 'c'].map((letter) => cache.ensure(wanted(letter), forever))
    await settled(2)
    ends[0]?.()
    await settled(3)
    ends[1]?.()
    ends[2]?.()
    expect(await Promise.all(asked)).toHaveLength(3)
  })

  test('is not kept waiting by files that come slowly', async () => {
    const { cache, ends, settled, started } = createConversions(layout)
    const file = (letter: string) => ({ reference: `https://files.example/a@${digestOf(letter)}` })
    const slow = ['a', 'b', 'c', 'd', 'e'].map((letter) => cache.ensure(wanted(letter, file(letter)), forever))
    await settled(4)
    const made = cache.ensure(wanted('f'), forever)
    await settled(5)
    expect(started.at(-1)?.reference).toBe(wanted('f').reference)
    ends[4]?.()
    expect(await made).toBeDefined()
    ends[0]?.()
    await settled(6)
    for (const end of ends) end()
    await Promise.all(slow)
  })
})

describe('the digest of an image of a registry, said to be that of a file from a URL', () => {
  const claimed = { reference: `https://files.example/a@${digestOf('a')}`, digest: digestOf('a') }

  test('does not open it: what others fetched with their credentials stays theirs', async () => {
    const cache = cacheOf(instantly)
    await cache.ensure(wanted(), forever)
    expect(cache.use(claimed)).toBeUndefined()
    expect(cache.use(wanted())).toEqual({ user: '' })
    const another: FetchImage = () => Promise.reject(new FileError('Mismatch', 'another sum'))
    await expect(cacheOf(another).ensure(wanted('a', claimed), forever)).rejects.toMatchObject({
      reason: 'ImageDigestMismatch',
    })
    expect(readFileSync(join(directoryOf('a'), 'image'), 'utf8')).toBe(wanted().reference)
  })

  test('is not opened by it either while it is being fetched', async () => {
    const { cache, ends, settled } = createConversions(layout)
    const made = cache.ensure(wanted(), forever)
    await settled(1)
    const opened = cache.ensure(wanted('a', claimed), forever)
    ends[0]?.()
    expect(await made).toEqual({ user: 'worker' })
    await settled(2)
    ends[1]?.(new FileError('Mismatch', 'another sum'))
    await expect(opened).rejects.toMatchObject({ reason: 'ImageDigestMismatch' })
  })
})

describe('what is no digest', () => {
  test.each(['../kubelet/pods', '../../kubelet/pods', '', 'sha256:0'])(
    '%j names no image, and nothing is removed for it',
    async (digest) => {
      const planted = join(layout.cacheDir, 'kubelet', 'pods')
      mkdirSync(planted, { recursive: true })
      writeFileSync(join(planted, 'image'), '')
      writeFileSync(join(planted, 'meta.json'), JSON.stringify({ reference: 'r', sizeBytes: 1, user: '' }))
      const { cache, started } = createConversions(layout)
      expect(() => cache.find(digest)).toThrow(/is not the digest of an image/)
      await expect(cache.ensure(wanted('a', { digest }), forever)).rejects.toMatchObject({
        reason: 'ImageReferenceInvalid',
      })
      expect(started).toEqual([])
      expect(readdirSync(planted)).toEqual(['image', 'meta.json'])
    },
  )
})

test('a disk that was replaced under the cache is filled anew', async () => {
  const { cache, ends, settled } = createConversions(layout)
  rmSync(images(), { recursive: true, force: true })
  const made = cache.ensure(wanted(), forever)
  await settled(1)
  ends[0]?.()
  await made
  rmSync(images(), { recursive: true })
  expect(cache.find(digestOf('a'))).toBeUndefined()
  const again = cache.ensure(wanted(), forever)
  await settled(2)
  ends[1]?.()
  expect(await again).toEqual({ user: 'worker' })
})

describe('a conversion that fails', () => {
  test('leaves nothing, says why, and can be tried again', async () => {
    const { cache, ends, settled } = createConversions(layout)
    const made = cache.ensure(wanted(), forever)
    await settled(1)
    ends[0]?.(new RegistryError('NotFound', 'there is no debian:nope'))
    await expect(made).rejects.toMatchObject({ reason: 'ImageNotFound', message: 'there is no debian:nope' })
    expect(readdirSync(images())).toEqual([])
    const again = cache.ensure(wanted(), forever)
    await settled(2)
    ends[1]?.()
    expect(await again).toBeDefined()
  })

  test('does not fail those who wait for it: they try with their own credentials', async () => {
    const { cache, ends, settled, started } = createConversions(layout)
    const withoutSecret = cache.ensure(wanted(), forever)
    await settled(1)
    const withSecret = cache.ensure(wanted('a', { withAuthFile: (act) => act('/auth.json') }), forever)
    ends[0]?.(new RegistryError('Unauthorized', 'add pullSecrets'))
    await expect(withoutSecret).rejects.toMatchObject({ reason: 'ImageUnauthorized' })
    await settled(2)
    expect(started.map(({ access }) => access.authFile)).toEqual([undefined, '/auth.json'])
    ends[1]?.()
    expect(await withSecret).toBeDefined()
  })

  test.each([
    [new NoSpaceError({ path: '/cache', needed: 10, free: 1 }), 'ImageNoSpace'],
    [new CacheFullError({ needed: 10, most: 1 }), 'ImageNoSpace'],
    [Object.assign(new Error('write'), { code: 'ENOSPC' }), 'ImageNoSpace'],
    [new RegistryError('Unreachable', 'no route'), 'ImageUnreachable'],
    [new RegistryError('NoPlatform', 'no arm64'), 'ImagePlatformNotFound'],
    [new RegistryError('Other', 'odd'), 'ImagePullFailed'],
    [new FileError('Mismatch', 'another sum'), 'ImageDigestMismatch'],
    [new FileError('NotFound', 'says 404'), 'ImageNotFound'],
  ])('%s is told as %s', async (error, reason) => {
    const { cache, ends, settled } = createConversions(layout)
    const made = cache.ensure(wanted(), forever)
    await settled(1)
    ends[0]?.(error)
    await expect(made).rejects.toMatchObject({ reason })
  })
})

describe('an image that is not as it was made', () => {
  const broken: [string, (dir: string) => void, RegExp][] = [
    ['without meta.json', (dir) => rmSync(join(dir, 'meta.json')), /its meta\.json is missing or damaged/],
    [
      'with half a meta.json',
      (dir) => truncateSync(join(dir, 'meta.json'), 20),
      /its meta\.json is missing or damaged/,
    ],
    [
      'of another version',
      (dir) => writeFileSync(join(dir, 'meta.json'), '{"sizeBytes":1}'),
      /meta\.json is missing or/,
    ],
    ['without its file', (dir) => rmSync(join(dir, 'image')), /its file is missing/],
    ['cut off', (dir) => truncateSync(join(dir, 'image'), 5), /its file has 5 bytes, and had 95/],
  ]

  test.each(broken)('%s is none, is told, and is made anew', async (_, spoil, what) => {
    const corruptions: Corruption[] = []
    const cache = cacheOf(instantly, { onCorrupt: (corruption) => corruptions.push(corruption) })
    await cache.ensure(wanted(), forever)
    spoil(directoryOf('a'))
    expect(cache.find(digestOf('a'))).toBeUndefined()
    expect(await cache.ensure(wanted(), forever)).toEqual({ user: '' })
    expect(readFileSync(join(directoryOf('a'), 'image'), 'utf8')).toBe(wanted().reference)
    expect(corruptions).toMatchObject([{ digest: digestOf('a'), what: expect.stringMatching(what), inUse: false }])
    expect(readdirSync(images())).toHaveLength(1)
  })

  test.each(broken)('%s is removed when the agent starts', async (_, spoil, what) => {
    const corruptions: Corruption[] = []
    const cache = cacheOf(instantly, { onCorrupt: (corruption) => corruptions.push(corruption) })
    await cache.ensure(wanted('a'), forever)
    await cache.ensure(wanted('b'), forever)
    spoil(directoryOf('a'))
    cache.scrub()
    expect(corruptions).toMatchObject([{ what: expect.stringMatching(what) }])
    expect(readdirSync(images())).toEqual([digestOf('b').replace(':', '-')])
  })
})

describe('a use', () => {
  test('is counted, and is remembered on disk', async () => {
    const requests: string[] = []
    const now = new Date('2027-01-01T00:00:00Z')
    const observer = { onRequest: (result: string) => requests.push(result) }
    const cache = cacheOf(instantly, observer, { clock: { now: () => now } })
    expect(cache.use(wanted())).toBeUndefined()
    await cache.ensure(wanted(), forever)
    expect(cache.use(wanted())).toEqual({ user: '' })
    expect(requests).toEqual(['miss', 'hit'])
    expect(statSync(join(directoryOf('a'), 'meta.json')).mtime).toEqual(now)
  })

  test('what came over the network is counted, and what is there', async () => {
    const told: unknown[] = []
    const cache = cacheOf(instantly, {
      onFetched: ({ result, bytes }) => told.push({ result, bytes }),
      onContents: (contents) => told.push(contents),
    })
    await cache.ensure(wanted(), forever)
    expect(told).toEqual([
      { result: 'success', bytes: 95 },
      { images: 1, bytes: 95 },
    ])
  })
})

test('what a killed agent left is swept, and whole images stay', async () => {
  const cache = cacheOf(instantly)
  await cache.ensure(wanted(), forever)
  for (const name of ['.making-x1', '.removed-sha256-x', '.aside-sha256-y']) {
    mkdirSync(join(images(), name))
    writeFileSync(join(images(), name, 'image'), 'half')
  }
  sweepImageCache(layout)
  expect(readdirSync(images())).toEqual([digestOf('a').replace(':', '-')])
  expect(existsSync(join(directoryOf('a'), 'meta.json'))).toBe(true)
})
