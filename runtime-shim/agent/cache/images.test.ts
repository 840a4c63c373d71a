import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import { mountSmallDisk } from '../../../test/node/small-disk.ts'
import { NoSpaceError, RegistryError } from '../../image/errors.ts'
import { type Convert, createImageCache, sweepImageCache, type WantedImage } from './images.ts'

let cacheDir: string
const images = () => join(cacheDir, 'images')
beforeEach(() => {
  cacheDir = mkdtempSync(join(tmpdir(), 'lamina-cache-'))
})
afterEach(() => rmSync(cacheDir, { recursive: true }))

const digestOf = (letter: string) => `sha256:${letter.repeat(64)}`
const wanted = (letter = 'a', more: Partial<WantedImage> = {}): WantedImage => ({
  reference: `registry.example/debian@${digestOf(letter)}`,
  digest: digestOf(letter),
  withAuthFile: (act) => act(undefined),
  onProgress: () => {},
  ...more,
})
const forever = new AbortController().signal

/** Conversions that end when the test says so. */
const createConversions = () => {
  const started: Parameters<Convert>[0][] = []
  const ends: ((outcome?: Error) => void)[] = []
  const convert: Convert = async (options) => {
    started.push(options)
    await new Promise<void>((resolve, reject) => {
      ends.push((error) => (error ? reject(error) : resolve()))
    })
    await writeFile(options.target, 'squashfs')
    return { sizeBytes: 8, user: 'worker' }
  }
  const cache = createImageCache({ cacheDir }, convert)
  /** Waits until so many have started. */
  const settled = (count: number): Promise<void> => vi.waitFor(() => expect(started).toHaveLength(count), 5_000)
  return { started, ends, cache, settled }
}

describe('an image that is not there', () => {
  test('appears whole, with the user that its configuration names', async () => {
    const { cache, ends, settled, started } = createConversions()
    const made = cache.ensure(wanted(), forever)
    await settled(1)
    expect(cache.find(digestOf('a'))).toBeUndefined()
    expect(cache.size()).toBe(0)
    expect(started[0]?.target.startsWith(join(images(), '.making-'))).toBe(true)
    ends[0]?.()
    const squashfs = join(images(), digestOf('a').replace(':', '-'), 'root.squashfs')
    expect(await made).toEqual({ user: 'worker' })
    expect(readFileSync(squashfs, 'utf8')).toBe('squashfs')
    expect(cache.find(digestOf('a'))).toEqual({ user: 'worker' })
    expect(cache.size()).toBe(1)
  })

  test('is converted once however many ask, and each hears of the progress', async () => {
    const { cache, ends, settled, started } = createConversions()
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
    const { cache, ends, settled } = createConversions()
    const asked = ['a', 'b', 'c'].map((letter) => cache.ensure(wanted(letter), forever))
    await settled(2)
    ends[0]?.()
    await settled(3)
    ends[1]?.()
    ends[2]?.()
    expect(await Promise.all(asked)).toHaveLength(3)
  })
})

describe('what is no digest', () => {
  test.each(['../kubelet/pods', '../../kubelet/pods', '', 'sha256:0'])(
    '%j names no image, and nothing is removed for it',
    async (digest) => {
      const planted = join(cacheDir, 'kubelet', 'pods')
      mkdirSync(planted, { recursive: true })
      writeFileSync(join(planted, 'root.squashfs'), '')
      writeFileSync(join(planted, 'meta.json'), JSON.stringify({ reference: 'r', sizeBytes: 1, user: '' }))
      const { cache, started } = createConversions()
      expect(() => cache.find(digest)).toThrow(/is not the digest of an image/)
      await expect(cache.ensure(wanted('a', { digest }), forever)).rejects.toMatchObject({
        reason: 'ImageReferenceInvalid',
      })
      expect(started).toEqual([])
      expect(readdirSync(planted)).toEqual(['meta.json', 'root.squashfs'])
    },
  )
})

test('a disk that was replaced under the cache is filled anew', async () => {
  const { cache, ends, settled } = createConversions()
  rmSync(images(), { recursive: true, force: true })
  expect(cache.size()).toBe(0)
  const made = cache.ensure(wanted(), forever)
  await settled(1)
  ends[0]?.()
  await made
  rmSync(images(), { recursive: true })
  expect([cache.size(), cache.find(digestOf('a'))]).toEqual([0, undefined])
  const again = cache.ensure(wanted(), forever)
  await settled(2)
  ends[1]?.()
  expect(await again).toEqual({ user: 'worker' })
})

describe('a conversion that fails', () => {
  test('leaves nothing, says why, and can be tried again', async () => {
    const { cache, ends, settled } = createConversions()
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
    const { cache, ends, settled, started } = createConversions()
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
    [Object.assign(new Error('write'), { code: 'ENOSPC' }), 'ImageNoSpace'],
    [new RegistryError('Unreachable', 'no route'), 'ImageUnreachable'],
    [new RegistryError('NoPlatform', 'no arm64'), 'ImagePlatformNotFound'],
    [new RegistryError('Other', 'odd'), 'ImagePullFailed'],
  ])('%s is told as %s', async (error, reason) => {
    const { cache, ends, settled } = createConversions()
    const made = cache.ensure(wanted(), forever)
    await settled(1)
    ends[0]?.(error)
    await expect(made).rejects.toMatchObject({ reason })
  })

  test('for want of room on the disk leaves that disk as it was', async () => {
    mkdirSync(images(), { recursive: true })
    const unmount = mountSmallDisk(images(), 8)
    try {
      rmSync(join(images(), 'lost+found'), { recursive: true })
      const convert: Convert = async ({ target }) => {
        await writeFile(target, Buffer.alloc(16 * 2 ** 20))
        return { sizeBytes: 0, user: '' }
      }
      const cache = createImageCache({ cacheDir }, convert)
      await expect(cache.ensure(wanted(), forever)).rejects.toMatchObject({ reason: 'ImageNoSpace' })
      expect(readdirSync(images())).toEqual([])
    } finally {
      unmount()
    }
  })
})

test('who ends waits no longer and hears no more, and the work goes on for the others', async () => {
  const { cache, ends, settled, started } = createConversions()
  const heard: string[] = []
  const ending = new AbortController()
  const first = cache.ensure(wanted('a', { onProgress: (line) => heard.push(line) }), ending.signal)
  await settled(1)
  const second = cache.ensure(wanted(), forever)
  ending.abort()
  expect(await first).toBeUndefined()
  started[0]?.onProgress('late')
  expect(heard).toEqual([])
  ends[0]?.()
  expect(await second).toBeDefined()
})

test('what a killed agent left is swept, and whole images stay', async () => {
  const whole = join(images(), digestOf('a').replace(':', '-'))
  mkdirSync(join(images(), '.making-x1'), { recursive: true })
  mkdirSync(whole)
  writeFileSync(join(images(), '.making-x1', 'root.squashfs'), 'half')
  writeFileSync(join(whole, 'meta.json'), JSON.stringify({ reference: 'r', sizeBytes: 1, user: '' }))
  await sweepImageCache({ cacheDir })
  expect(readdirSync(images())).toEqual([digestOf('a').replace(':', '-')])
  expect(existsSync(join(whole, 'meta.json'))).toBe(true)
})
