import { readdirSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { hasCode } from '../../mount/error-code.ts'
import type { NodeLayout } from '../../node/layout.ts'
import { namesIn } from '../../node/names-in.ts'
import { cacheRoot, type Entry, entriesIn, examine, lastUseOf, type Meta, stagingPrefix } from './entry.ts'
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

/** What is being made may go at any moment. */
const namesBelow = (dir: string): string[] => {
  try {
    return readdirSync(dir, { recursive: true, encoding: 'utf8' })
  } catch (error) {
    if (hasCode(error, 'ENOENT')) return []
    throw error
  }
}

const sizeOf = (path: string): number => {
  const stats = statSync(path, { throwIfNoEntry: false })
  return stats?.isFile() ? stats.size : 0
}

/** All that is on disk by now of images that are being made, layers too. */
export const bytesUnderWay = (layout: Pick<NodeLayout, 'cacheDir'>): number =>
  namesIn(cacheRoot(layout))
    .filter((name) => name.startsWith(stagingPrefix))
    .map((name) => join(cacheRoot(layout), name))
    .flatMap((dir) => namesBelow(dir).map((name) => sizeOf(join(dir, name))))
    .reduce((sum, size) => sum + size, 0)

export const tellContents = (
  layout: Pick<NodeLayout, 'cacheDir'>,
  observer: Pick<CacheObserver, 'onContents'>,
): void => {
  const images = contentsOf(layout)
  observer.onContents({ images: images.length, bytes: bytesOf(images) })
}
