import { expect, vi } from 'vitest'
import type { NodeLayout } from '../../../node/layout.ts'
import type { FetchImage } from '../make.ts'
import { type CacheObserver, unobserved } from '../observer.ts'
import { bringBytes, makeCache } from './images.ts'

/** Conversions that end when the test says so. */
export const createConversions = (layout: NodeLayout, observer: Partial<CacheObserver> = {}) => {
  const started: Parameters<FetchImage>[0][] = []
  const ends: ((outcome?: Error) => void)[] = []
  const fetch: FetchImage = async (options) => {
    started.push(options)
    await new Promise<void>((resolve, reject) => {
      ends.push((error) => (error ? reject(error) : resolve()))
    })
    return { ...(await bringBytes(options.target, 'squashfs')), fetchedBytes: 5, user: 'worker' }
  }
  const cache = makeCache(layout, fetch, { observer: { ...unobserved, ...observer } })
  /** Waits until so many have started. */
  const settled = (count: number): Promise<void> => vi.waitFor(() => expect(started).toHaveLength(count), 5_000)
  return { started, ends, cache, settled }
}
