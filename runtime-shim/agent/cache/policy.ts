import type { Room } from '../../image/space.ts'

/** What has to leave the cache, and what may still come, by size and by how full its disk is. */

export interface CacheLimits {
  /** Bytes of all images together; infinite where only the disk counts. */
  maxBytes: number
  /** How full the disk may be, by whatever, before images leave it… */
  highPercent: number
  /** …until it is only so full. */
  lowPercent: number
}

/** A file system, in bytes. */
export interface Disk {
  size: number
  available: number
}

/** How much has to go. What the disk's owner keeps back for root counts as used, as with the kubelet. */
export const surplusOf = (limits: CacheLimits, cachedBytes: number, { size, available }: Disk): number => {
  const used = size - available
  const isFull = used > (limits.highPercent / 100) * size
  const overDisk = isFull ? used - (limits.lowPercent / 100) * size : 0
  return Math.max(0, cachedBytes - limits.maxBytes, overDisk)
}

/**
 * What another image may take. One that is fetched beforehand keeps to the limits.
 * One that a start waits for may be as large as it is: what is in use makes the
 * cache as large as it must be; of the disk above the high mark it leaves half.
 */
export const roomOf = (limits: CacheLimits, beforehand: boolean, cachedBytes: number, { size }: Disk): Room => {
  const aboveHigh = ((100 - limits.highPercent) * size) / 100
  return beforehand
    ? { keepFree: aboveHigh, most: Math.max(0, limits.maxBytes - cachedBytes) }
    : { keepFree: aboveHigh / 2, most: Number.POSITIVE_INFINITY }
}

export interface Candidate {
  digest: string
  sizeBytes: number
  /** In ms since 1970. */
  lastUse: number
}

/** Between a look into the cache and the ticket for what was found there: an overlay may be checked meanwhile. */
export const graceMs = 600_000

export interface Holders {
  /** Instances run on them, or may at any moment: they stay. */
  inUse: ReadonlySet<string>
  /** Prefetches have brought them, and nobody uses them now: they go last. */
  held: ReadonlySet<string>
}

/** Images that may go: the longest unused first, and those of prefetches after the others. */
export const collectable = <T extends Candidate>(images: readonly T[], { inUse, held }: Holders, now: Date): T[] =>
  images
    .filter(({ digest, lastUse }) => !inUse.has(digest) && now.getTime() - lastUse >= graceMs)
    .toSorted((a, b) => Number(held.has(a.digest)) - Number(held.has(b.digest)) || a.lastUse - b.lastUse)
