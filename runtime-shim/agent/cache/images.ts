import { type Clock, unlessAborted } from '../../../kube/clock.ts'
import { imageSourceOf } from '../../../kube/image-source.ts'
import { CacheFullError } from '../../image/errors.ts'
import { freeBytes } from '../../image/space.ts'
import type { NodeLayout } from '../../node/layout.ts'
import type { Collector } from './collector.ts'
import { tellContents } from './contents.ts'
import { cacheRoot, type Entry, entriesIn, entryOf, evict, examine, type Meta, noteUse, referenceOf } from './entry.ts'
import { createLimiter } from './limiter.ts'
import { type FetchImage, makeEntry } from './make.ts'
import type { CacheObserver } from './observer.ts'
import { createShortages, lackOf } from './shortages.ts'
import { imageTrouble } from './trouble.ts'
import { createVerdicts } from './verdicts.ts'

export interface CachedImage {
  /** The image configuration's `User`. */
  user: string
}

interface ImageName {
  /** `repository@sha256:…`, `https://…@sha256:…`, `oras://…@sha256:…` */
  reference: string
  digest: string
}

export interface WantedImage extends ImageName {
  /** Where a file is now; as its reference says when left out. What comes is checked against the digest. */
  url?: string | undefined
  /** Nobody waits for it: it comes only while it fits into the cache's limits. */
  beforehand?: boolean
  /** Of the pod that it is for: none keeps others from theirs. Of nobody in particular when left out. */
  namespace?: string
  /** Calls `act` with an auth file for the registry, where there are pull secrets; it is gone afterwards. */
  withAuthFile<T>(act: (authFile: string | undefined) => Promise<T>): Promise<T>
  onProgress(line: string): void
}

export interface ImageCache {
  /** A look whether an image is there under the digest. */
  find(digest: string): CachedImage | undefined
  /** The image for a start, if it is there: it counts as used from now on. */
  use(name: ImageName): CachedImage | undefined
  /**
   * The image, fetched if it is not there; once for a digest however many ask.
   * Undefined when the signal ends the wait: the work goes on as long as others wait for it.
   *
   * @throws Trouble
   */
  ensure(wanted: WantedImage, signal: AbortSignal): Promise<CachedImage | undefined>
  /** Takes out of the cache what is not as it was made. `what` is about "it". */
  condemn(digest: string, what: string): void
  /** Condemns what a look shows to be broken. */
  scrub(): void
}

export interface CacheParts {
  layout: NodeLayout
  fetch: FetchImage
  collector: Pick<Collector, 'makeRoom' | 'roomFor'>
  clock: Pick<Clock, 'now'>
  observer: CacheObserver
  /** Each knows what is in the cache, and not how large the others will be. As many as there are places for when left out. */
  prefetchesAtOnce?: number
}

/**
 * So many at once, by rules of their own ({@link ./limiter.ts}). A conversion takes
 * two processors for itself, and the memory of its tree of files. Files only come,
 * some of them slowly: they keep no conversion waiting.
 */
const places = { conversion: 2, download: 4 } as const

interface Work {
  done: Promise<CachedImage>
  listeners: Set<WantedImage>
  /** To be aborted when nobody listens any more. */
  abandon: AbortController
}

type Job = Pick<Parameters<FetchImage>[0], 'signal' | 'onProgress'>

/**
 * Whether what is there under the digest is what the reference means. That of a
 * manifest was read with the namespace's credentials; that of a file from a URL
 * is only what the spec says of it, and must not open what others have fetched
 * from their registries.
 */
const isMeant = (meta: Meta, { reference }: ImageName): boolean =>
  (imageSourceOf(meta.reference) === 'https') === (imageSourceOf(reference) === 'https')

const userOf = ({ user }: Meta): CachedImage => ({ user })

/** Images of a node, each whole or not there. */
export const createImageCache = (parts: CacheParts): ImageCache => {
  const { layout, fetch, collector, clock, observer, prefetchesAtOnce } = parts
  const underWay = new Map<string, Work>()
  const verdicts = createVerdicts(clock)
  const shortages = createShortages(clock)
  const limiter = createLimiter(places, prefetchesAtOnce)

  const look = (entry: Entry): Meta | undefined => {
    const state = examine(entry)
    return state.kind === 'whole' ? state.meta : undefined
  }

  const find: ImageCache['find'] = (digest) => {
    const meta = look(entryOf(layout, digest))
    return meta && userOf(meta)
  }

  const lookFor = (name: ImageName): Meta | undefined => {
    const meta = look(entryOf(layout, name.digest))
    return meta && isMeant(meta, name) ? meta : undefined
  }

  const use: ImageCache['use'] = (name) => {
    const meta = lookFor(name)
    if (meta) noteUse(entryOf(layout, name.digest), clock.now())
    observer.onRequest(meta ? 'hit' : 'miss')
    return meta && userOf(meta)
  }

  const condemn: ImageCache['condemn'] = (digest, what) => {
    const entry = entryOf(layout, digest)
    const reference = referenceOf(entry)
    observer.onCorrupt({ digest, reference, what, ...evict(entry) })
    tellContents(layout, observer)
  }

  const condemnBroken = (entry: Entry): void => {
    const state = examine(entry)
    if (state.kind === 'broken') condemn(entry.digest, state.what)
  }

  /** A prefetch keeps to the cache's size, whatever else has come while it was made. */
  const assertFits = (sizeBytes: number, beforehand: boolean): void => {
    const { most } = collector.roomFor(beforehand, 'ignored')
    if (sizeBytes > most) throw new CacheFullError({ needed: sizeBytes, most, soFar: true })
  }

  const make = async (wanted: WantedImage, beforehand: boolean, job: Job): Promise<CachedImage> => {
    const entry = entryOf(layout, wanted.digest)
    condemnBroken(entry)
    const started = performance.now()
    const seconds = (): number => (performance.now() - started) / 1000
    try {
      const { reference, digest, url } = wanted
      const room = collector.roomFor(beforehand)
      const fits = (sizeBytes: number): void => assertFits(sizeBytes, beforehand)
      const { meta, fetched } = await wanted.withAuthFile((authFile) =>
        makeEntry(layout, entry, { reference, digest, url, room, authFile, ...job }, { fetch, assertFits: fits }),
      )
      observer.onFetched({ seconds: seconds(), result: 'success', bytes: fetched.fetchedBytes })
      tellContents(layout, observer)
      return userOf(meta)
    } catch (error) {
      if (!job.signal.aborted) observer.onFetched({ seconds: seconds(), result: 'error', bytes: 0 })
      throw error
    }
  }

  /** Where the disk is full, images that nobody needs make room. */
  const makeWithRoom = async (wanted: WantedImage, beforehand: boolean, job: Job): Promise<CachedImage> => {
    try {
      return await make(wanted, beforehand, job)
    } catch (error) {
      const lack = job.signal.aborted ? undefined : lackOf(error, beforehand)
      if (lack === undefined || collector.makeRoom(lack.bytes, beforehand, lack.atLeast) === 0) throw error
      job.onProgress('images that nobody uses now have left the cache to make room: trying once more')
      return make(wanted, beforehand, job)
    }
  }

  /** Whether there is so much room now, or has been made for a start. */
  const hasRoom = (bytes: number, beforehand: boolean): boolean => {
    const { most, keepFree } = collector.roomFor(beforehand)
    const lacking = bytes - Math.min(most, freeBytes(cacheRoot(layout)) - keepFree)
    return lacking <= 0 || (!beforehand && collector.makeRoom(lacking, beforehand) > 0)
  }

  const assertHopeful = (wanted: WantedImage): void => {
    const { beforehand = false } = wanted
    const trouble = verdicts.of(wanted) ?? shortages.of(wanted, (bytes) => hasRoom(bytes, beforehand))
    if (trouble) throw trouble
  }

  const begin = (wanted: WantedImage): Work => {
    const listeners: Work['listeners'] = new Set([wanted])
    const abandon = new AbortController()
    const { signal } = abandon
    const onProgress = (line: string): void => {
      for (const listener of listeners) listener.onProgress(line)
    }
    const beforehand = (): boolean => [...listeners].every((listener) => listener.beforehand === true)
    const kind = imageSourceOf(wanted.reference) === 'registry' ? 'conversion' : 'download'
    const act = async (): Promise<CachedImage> => {
      // Whoever has come meanwhile may not have to keep to the limits.
      const tried = { ...wanted, beforehand: beforehand() }
      try {
        const made = await makeWithRoom(tried, tried.beforehand, { signal, onProgress })
        shortages.forget(tried)
        return made
      } catch (error) {
        const trouble = imageTrouble(error)
        verdicts.note(tried, error, trouble)
        shortages.note(tried, error, trouble)
        throw trouble
      }
    }
    const done = limiter
      .run({ kind, namespace: wanted.namespace, beforehand, signal }, act)
      .finally(() => underWay.delete(wanted.digest))
    const work = { done, listeners, abandon }
    underWay.set(wanted.digest, work)
    return work
  }

  const follow = async (
    { done, listeners, abandon }: Work,
    wanted: WantedImage,
    signal: AbortSignal,
  ): Promise<CachedImage | undefined> => {
    listeners.add(wanted)
    limiter.look()
    try {
      return await unlessAborted(done, signal)
    } finally {
      listeners.delete(wanted)
      if (listeners.size === 0) abandon.abort()
    }
  }

  return {
    find,
    use,
    ensure: async (wanted, signal) => {
      for (;;) {
        const present = lookFor(wanted)
        if (present || signal.aborted) return present && userOf(present)
        const others = underWay.get(wanted.digest)
        if (!others) {
          assertHopeful(wanted)
          return follow(begin(wanted), wanted, signal)
        }
        // Its credentials are not ours: where it fails, we may not.
        await follow(others, wanted, signal).catch(() => undefined)
      }
    },
    condemn,
    scrub: () => {
      for (const entry of entriesIn(layout)) condemnBroken(entry)
      tellContents(layout, observer)
    },
  }
}
