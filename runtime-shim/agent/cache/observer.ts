/** An image of the cache is not as it was made. */
export interface Corruption {
  digest: string
  /** Undefined where meta.json does not tell. */
  reference: string | undefined
  /** About "it". */
  what: string
  /** Whether a mount has it; new starts get another copy. */
  inUse: boolean
}

/** What the cache does, for those who count and tell. */
export interface CacheObserver {
  /** A start looked for an image. */
  onRequest(result: 'hit' | 'miss'): void
  /** @param bytes that came over the network */
  onFetched(outcome: { seconds: number; result: 'success' | 'error'; bytes: number }): void
  onCollected(image: { digest: string; reference: string; sizeBytes: number }): void
  onCorrupt(corruption: Corruption): void
  /** Images came or went. */
  onContents(contents: { images: number; bytes: number }): void
}

export const unobserved: CacheObserver = {
  onRequest: () => {},
  onFetched: () => {},
  onCollected: () => {},
  onCorrupt: () => {},
  onContents: () => {},
}
