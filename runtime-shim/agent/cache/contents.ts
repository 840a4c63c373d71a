import type { NodeLayout } from '../../node/layout.ts'
import { type Entry, entriesIn, examine, lastUseOf, type Meta } from './entry.ts'
import type { CacheObserver } from './observer.ts'
import type { Candidate } from './policy.ts'

/** An image that is there and, as far as a look shows, whole. */
export interface CachedFile extends Candidate {
  entry: Entry
  meta: Meta
}

export const contentsOf = (layout: Pick<NodeLayout, 'cacheDir'>): CachedFile[] =>
  entriesIn(layout).flatMap((entry) => {
    const state = examine(entry)
    if (state.kind !== 'whole') return []
    const { meta } = state
    return [{ entry, meta, digest: entry.digest, sizeBytes: meta.sizeBytes, lastUse: lastUseOf(entry) }]
  })

export const bytesOf = (images: readonly Candidate[]): number =>
  images.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0)

export const tellContents = (
  layout: Pick<NodeLayout, 'cacheDir'>,
  observer: Pick<CacheObserver, 'onContents'>,
): void => {
  const images = contentsOf(layout)
  observer.onContents({ images: images.length, bytes: bytesOf(images) })
}
