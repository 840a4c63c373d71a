import { type Clock, pause } from '../../../kube/clock.ts'
import type { Logger } from '../../../kube/log.ts'
import type { NodeLayout } from '../../node/layout.ts'
import { createCollector } from './collector.ts'
import { sweepImageCache } from './entry.ts'
import { createImageCache, type ImageCache } from './images.ts'
import type { FetchImage } from './make.ts'
import type { CacheObserver } from './observer.ts'
import type { CacheLimits } from './policy.ts'
import { createVerifier } from './verifier.ts'

/** The images of a node, kept whole and within their limits. */
export interface NodeCache {
  images: ImageCache
  /** The mount of an image has failed. */
  accuse(digest: string): void
  /** Clears away what an agent before left; to be called before the first image is asked for. */
  tidy(): void
  /** Verifies and collects until the signal is aborted. */
  run(signal: AbortSignal): Promise<void>
}

export interface NodeCacheParts {
  layout: NodeLayout
  limits: CacheLimits
  fetch: FetchImage
  clock: Clock
  log: Logger
  observer: CacheObserver
}

const collectEveryMs = 60_000

export const createNodeCache = (parts: NodeCacheParts): NodeCache => {
  const { layout, clock, log } = parts
  const collector = createCollector(parts)
  const alone = Number.isFinite(parts.limits.maxBytes) ? { prefetchesAtOnce: 1 } : {}
  const images = createImageCache({ ...parts, collector, ...alone })
  const verifier = createVerifier({ layout, images, clock, log })

  const collect = (): void => {
    try {
      collector.collect()
    } catch (error) {
      log.warn({ err: error }, 'the image cache could not be collected')
    }
  }

  const keepCollecting = async (signal: AbortSignal): Promise<void> => {
    while (!signal.aborted) {
      collect()
      await pause(clock, collectEveryMs, signal)
    }
  }

  return {
    images,
    accuse: verifier.accuse,
    tidy: () => {
      sweepImageCache(layout)
      images.scrub()
    },
    run: async (signal) => {
      await Promise.all([verifier.run(signal), keepCollecting(signal)])
    },
  }
}
