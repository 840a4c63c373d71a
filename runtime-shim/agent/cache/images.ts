import { type Clock, unlessAborted } from '../../../kube/clock.ts'
import { imageSourceOf } from '../../../kube/image-source.ts'
import { CacheFullError, NoSpaceError } from '../../image/errors.ts'
import { isFullError } from '../../image/space.ts'
import type { NodeLayout } from '../../node/layout.ts'
import type { Collector } from './collector.ts'
import { tellContents } from './contents.ts'
import { type Entry, entriesIn, entryOf, evict, examine, type Meta, noteUse, referenceOf } from './entry.ts'
import { createLimiter } from './limiter.ts'
import { type FetchImage, makeEntry } from './make.ts'
import type { CacheObserver } from './observer.ts'
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
   * Undefined when the signal ends the wait: the work goes on.
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
}

/** A conversion takes two processors for itself, and the memory of its tree of files. */
const conversionsAtOnce = 2
/** Files only come, some of them slowly: they keep no conversion waiting. */
const downloadsAtOnce = 4

interface Work {
  done: Promise<CachedImage>
  listeners: Set<WantedImage['onProgress']>
}

/**
 * Whether what is there under the digest is what the reference means. That of a
 * manifest was read with the namespace's credentials; that of a file from a URL
 * is only what the spec says of it, and must not open what others have fetched
 * from their registries.
 */
const isMeant = (meta: Meta, { reference }: ImageName): boolean =>
  (imageSourceOf(meta.reference) === 'https') === (imageSourceOf(reference) === 'https')

const userOf = ({ user }: Meta): CachedImage => ({ user })

/** Where nobody can tell how much it takes. */
const unknownRoom = 2 ** 30

const lackingOf = (error: unknown): number | undefined => {
  if (error instanceof NoSpaceError || error instanceof CacheFullError) return error.lacking
  return isFullError(error) ? 0 : undefined
}

/** How much has to be freed for another try. A prefetch of which nobody knows how large it is drives out nothing. */
const lackingFor = (error: unknown, beforehand: boolean): number | undefined => {
  const lacking = lackingOf(error)
  if (lacking !== 0) return lacking
  return beforehand ? undefined : unknownRoom
}

/** Images of a node, each whole or not there. */
export const createImageCache = ({ layout, fetch, collector, clock, observer }: CacheParts): ImageCache => {
  const underWay = new Map<string, Work>()
  const verdicts = createVerdicts(clock)
  const converting = createLimiter(conversionsAtOnce)
  const downloading = createLimiter(downloadsAtOnce)

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

  const make = async (wanted: WantedImage, onProgress: WantedImage['onProgress']): Promise<CachedImage> => {
    const entry = entryOf(layout, wanted.digest)
    condemnBroken(entry)
    const started = performance.now()
    const seconds = (): number => (performance.now() - started) / 1000
    try {
      const { reference, digest, url, beforehand = false } = wanted
      const room = collector.roomFor(beforehand)
      const { meta, fetched } = await wanted.withAuthFile((authFile) =>
        makeEntry(layout, entry, { reference, digest, url, room, authFile, onProgress }, fetch),
      )
      observer.onFetched({ seconds: seconds(), result: 'success', bytes: fetched.fetchedBytes })
      tellContents(layout, observer)
      return userOf(meta)
    } catch (error) {
      observer.onFetched({ seconds: seconds(), result: 'error', bytes: 0 })
      throw error
    }
  }

  /** Where the disk is full, images that nobody needs make room. */
  const makeWithRoom = async (wanted: WantedImage, onProgress: WantedImage['onProgress']): Promise<CachedImage> => {
    try {
      return await make(wanted, onProgress)
    } catch (error) {
      const { beforehand = false } = wanted
      const lacking = lackingFor(error, beforehand)
      if (lacking === undefined || collector.makeRoom(lacking, beforehand) === 0) throw error
      onProgress('images that nobody uses now have left the cache to make room: trying once more')
      return make(wanted, onProgress)
    }
  }

  const begin = (wanted: WantedImage): Work => {
    const listeners: Work['listeners'] = new Set()
    const tell = (line: string): void => {
      for (const listener of listeners) listener(line)
    }
    const limited = imageSourceOf(wanted.reference) === 'registry' ? converting : downloading
    const made = limited(() => makeWithRoom(wanted, tell)).catch((error: unknown) => {
      const trouble = imageTrouble(error)
      verdicts.note(wanted, error, trouble)
      throw trouble
    })
    const work = { done: made.finally(() => underWay.delete(wanted.digest)), listeners }
    underWay.set(wanted.digest, work)
    return work
  }

  const follow = async (
    { done, listeners }: Work,
    { onProgress }: WantedImage,
    signal: AbortSignal,
  ): Promise<CachedImage | undefined> => {
    listeners.add(onProgress)
    try {
      return await unlessAborted(done, signal)
    } finally {
      listeners.delete(onProgress)
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
          const verdict = verdicts.of(wanted)
          if (verdict) throw verdict
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
