import { existsSync, mkdirSync, statfsSync } from 'node:fs'
import type { Clock } from '../../../kube/clock.ts'
import type { Room } from '../../image/space.ts'
import type { NodeLayout } from '../../node/layout.ts'
import { bytesOf, bytesUnderWay, type CachedFile, contentsOf, tellContents } from './contents.ts'
import { cacheRoot, removeAside, removeIfFree } from './entry.ts'
import { digestsHeld, digestsInUse } from './in-use.ts'
import type { CacheObserver } from './observer.ts'
import { type CacheLimits, collectable, type Disk, roomOf, surplusOf } from './policy.ts'

/** Removes images that nobody needs now, the longest unused first. */
export interface Collector {
  /** Keeps to the limits. */
  collect(): void
  /**
   * What an image may take; `beforehand`: for a prefetch.
   *
   * @param others whether what is under way counts as if it were in the cache
   */
  roomFor(beforehand: boolean, others?: 'counted' | 'ignored'): Room
  /**
   * Frees so many bytes, as far as it can: for a prefetch none that another has
   * brought. None where not even `atLeast` can be freed: it would be in vain.
   *
   * @returns how many
   */
  makeRoom(bytes: number, beforehand: boolean, atLeast?: number): number
}

export interface CollectorParts {
  layout: NodeLayout
  limits: CacheLimits
  clock: Pick<Clock, 'now'>
  observer: Pick<CacheObserver, 'onCollected' | 'onContents'>
}

const diskOf = (path: string): Disk => {
  const { blocks, bavail, bsize } = statfsSync(path)
  return { size: blocks * bsize, available: bavail * bsize }
}

export const createCollector = ({ layout, limits, clock, observer }: CollectorParts): Collector => {
  const remove = (images: readonly CachedFile[], bytes: number): number => {
    let freed = 0
    for (const { entry, digest, meta, sizeBytes } of images) {
      if (freed >= bytes) break
      if (!removeIfFree(entry)) continue
      freed += sizeBytes
      observer.onCollected({ digest, reference: meta.reference, sizeBytes })
    }
    if (freed > 0) tellContents(layout, observer)
    return freed
  }

  const candidates = (images: readonly CachedFile[]): CachedFile[] =>
    collectable(images, { inUse: digestsInUse(layout), held: digestsHeld(layout) }, clock.now())

  const idle = (images: readonly CachedFile[]): CachedFile[] => {
    const held = digestsHeld(layout)
    return candidates(images).filter(({ digest }) => !held.has(digest))
  }

  return {
    collect: () => {
      const root = cacheRoot(layout)
      if (!existsSync(root)) return
      removeAside(layout)
      const images = contentsOf(layout)
      const surplus = surplusOf(limits, bytesOf(images), diskOf(root))
      if (surplus > 0) remove(candidates(images), surplus)
    },
    roomFor: (beforehand, others = 'counted') => {
      const root = cacheRoot(layout)
      mkdirSync(root, { recursive: true, mode: 0o700 })
      const underWay = others === 'counted' ? bytesUnderWay(layout) : 0
      return roomOf(limits, beforehand, bytesOf(contentsOf(layout)) + underWay, diskOf(root))
    },
    makeRoom: (bytes, beforehand, atLeast = bytes) => {
      const images = (beforehand ? idle : candidates)(contentsOf(layout))
      return bytesOf(images) < atLeast ? 0 : remove(images, bytes)
    },
  }
}
