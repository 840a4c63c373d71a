/** What has to leave the cache, by size and by how full its disk is. */

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

export interface Candidate {
  digest: string
  sizeBytes: number
  /** In ms since 1970. */
  lastUse: number
}

/** Between a look into the cache and the ticket for what was found there: an overlay may be checked meanwhile. */
export const graceMs = 600_000

/** Images that may go, the longest unused first. */
export const collectable = <T extends Candidate>(images: readonly T[], inUse: ReadonlySet<string>, now: Date): T[] =>
  images
    .filter(({ digest, lastUse }) => !inUse.has(digest) && now.getTime() - lastUse >= graceMs)
    .toSorted((a, b) => a.lastUse - b.lastUse)
