import { readdirSync } from 'node:fs'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { CacheFullError, ConversionError, FileError } from '../../image/errors.ts'
import type { NodeLayout } from '../../node/layout.ts'
import { cacheRoot } from './entry.ts'
import type { CacheParts } from './images.ts'
import type { FetchImage } from './make.ts'
import { type CacheObserver, unobserved } from './observer.ts'
import { digestOf, forever, instantly, makeCache, wanted } from './testing/images.ts'
import { makeLayout, removeLayout } from './testing/plant.ts'

let layout: NodeLayout
const images = () => cacheRoot(layout)
beforeEach(() => {
  layout = makeLayout()
})
afterEach(() => removeLayout(layout))

const cacheOf = (fetch: FetchImage, observer: Partial<CacheObserver> = {}, more: Partial<CacheParts> = {}) =>
  makeCache(layout, fetch, { observer: { ...unobserved, ...observer }, ...more })

describe('an image of which nothing can be made', () => {
  const file = (url: string) => wanted('a', { reference: `${url}@${digestOf('a')}` })
  const failing = (error: Error) => {
    let now = Date.parse('2026-01-01T00:00:00Z')
    const asked: string[] = []
    const cache = cacheOf(
      async ({ reference }) => {
        asked.push(reference)
        throw error
      },
      {},
      { clock: { now: () => new Date(now) } },
    )
    const ask = (image = file('https://files.example/a')) =>
      cache.ensure(image, forever).then(
        () => 'there',
        (trouble: unknown) => String(trouble),
      )
    const later = (minutes: number): void => {
      now += minutes * 60_000
    }
    return { asked, ask, later }
  }

  test('is not fetched again for an hour, whoever names its digest; the reason is told each time', async () => {
    const { asked, ask, later } = failing(new ConversionError('it is a web page'))
    expect(await ask()).toBe('Trouble: it is a web page')
    expect(await ask(file('https://elsewhere.example/b'))).toBe('Trouble: it is a web page')
    later(59)
    expect(await ask()).toBe('Trouble: it is a web page')
    expect(asked).toHaveLength(1)
    later(2)
    expect(await ask()).toBe('Trouble: it is a web page')
    expect(asked).toHaveLength(2)
  })

  test('is another than the image of a registry that is said to have its digest', async () => {
    const { asked, ask } = failing(new ConversionError('it is a web page'))
    await ask()
    await ask(wanted('a'))
    expect(asked).toHaveLength(2)
  })

  test('since its server gives another file: it is asked again after ten minutes, others at once', async () => {
    const { asked, ask, later } = failing(new FileError('Mismatch', 'another sum'))
    await ask()
    expect(await ask()).toBe('Trouble: another sum')
    expect(asked).toHaveLength(1)
    await ask(file('https://elsewhere.example/b'))
    expect(asked).toHaveLength(2)
    later(11)
    await ask()
    expect(asked).toHaveLength(3)
  })

  test('is forgotten when very many others have come since', async () => {
    const { asked, ask } = failing(new ConversionError('it is a web page'))
    const numbered = (number: number) => {
      const digest = `sha256:${number.toString(16).padStart(64, '0')}`
      return wanted('a', { digest, reference: `https://files.example/a@${digest}` })
    }
    for (let number = 0; number < 300; number++) await ask(numbered(number))
    await ask(numbered(299))
    expect(asked).toHaveLength(300)
    await ask(numbered(0))
    expect(asked).toHaveLength(301)
  })

  test('is not remembered for what may change', async () => {
    const { asked, ask } = failing(new FileError('Unreachable', 'no route'))
    await ask()
    await ask()
    expect(asked).toHaveLength(2)
  })
})

describe('an image that is too large', () => {
  const asking = (fetch: FetchImage, most: () => number) => {
    const asked: string[] = []
    const counted: FetchImage = (wanted) => {
      asked.push(wanted.digest)
      return fetch(wanted)
    }
    let now = 0
    const collector = { makeRoom: () => 0, roomFor: () => ({ keepFree: 0, most: most() }) }
    const cache = cacheOf(counted, {}, { collector, clock: { now: () => new Date(now) } })
    const ask = (letter = 'a') =>
      cache.ensure(wanted(letter, { beforehand: true }), forever).then(
        () => 'there',
        (error: unknown) => String(error),
      )
    const later = (minutes: number): void => {
      now += minutes * 60_000
    }
    return { asked, ask, later, cache }
  }

  test('is not fetched again and again: the reason is told each time, until there is room', async () => {
    let most = 50
    const { asked, ask, later } = asking(
      (job) => {
        if (job.room.most >= 100) return instantly(job)
        throw new CacheFullError({ needed: 60, most: job.room.most, soFar: true })
      },
      () => most,
    )
    const first = await ask()
    expect(first).toMatch(/Trouble: the image takes more than/)
    later(600)
    expect(await ask()).toBe(first)
    expect(asked).toHaveLength(1)
    most = 100
    expect(await ask()).toBe('there')
  })

  test('since others have come while it was made does not come into the cache', async () => {
    let most = 1000
    const { ask } = asking(
      async (job) => {
        const fetched = await instantly(job)
        most = 50
        return fetched
      },
      () => most,
    )
    expect(await ask()).toMatch(/has room for/)
    expect(readdirSync(images())).toEqual([])
  })
})
