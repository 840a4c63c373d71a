import { open, stat } from 'node:fs/promises'
import type { Clock } from '../../../kube/clock.ts'
import type { Logger } from '../../../kube/log.ts'
import { createSerializer } from '../../../kube/serially.ts'
import { sha256Of } from '../../image/sha256.ts'
import { hasCode } from '../../mount/error-code.ts'
import type { NodeLayout } from '../../node/layout.ts'
import { contentsOf } from './contents.ts'
import { type Entry, entryOf, examine, isVerified, noteVerified } from './entry.ts'
import type { ImageCache } from './images.ts'

/**
 * Finds images that are not as they were made, by the sum of their bytes: once
 * after each boot in the background, and whenever a mount of one has failed. A
 * start does not wait for it: that would cost it the reading of the whole image.
 */
export interface Verifier {
  /** Verifies what was not since the boot, the last used first. */
  run(signal: AbortSignal): Promise<void>
  /** A mount of the image has failed. */
  accuse(digest: string): void
}

export interface VerifierParts {
  layout: Pick<NodeLayout, 'cacheDir'>
  images: Pick<ImageCache, 'condemn'>
  clock: Pick<Clock, 'now'>
  log: Logger
  bytesPerSecond?: number
}

/** A fraction of what disks and processors do. */
const usualBytesPerSecond = 64 * 2 ** 20

/** A container that cannot start is tried again and again, and fails each time with the same words. */
const accusedOnceMs = 600_000

const readErrors = ['EIO', 'EUCLEAN', 'EBADMSG'] as const

/** What is wrong with the file; undefined for nothing, or when it has gone meanwhile. */
const faultOf = async (entry: Entry, limits: Parameters<typeof sha256Of>[1]): Promise<string | undefined> => {
  const state = examine(entry)
  if (state.kind === 'broken') return state.what
  if (state.kind === 'absent') return undefined
  const file = await open(entry.file, 'r')
  try {
    const found = await sha256Of(file, limits)
    // Another may have its place by now.
    const [was, is] = [await file.stat(), await stat(entry.file)]
    if (was.ino !== is.ino || found === state.meta.fileDigest) return undefined
    return `its bytes have ${found}, and had ${state.meta.fileDigest}`
  } catch (error) {
    if (hasCode(error, 'ENOENT')) return undefined
    if (hasCode(error, ...readErrors)) return `it cannot be read (${String(error)})`
    throw error
  } finally {
    await file.close()
  }
}

export const createVerifier = (parts: VerifierParts): Verifier => {
  const { layout, images, clock, log, bytesPerSecond = usualBytesPerSecond } = parts
  const oneAtATime = createSerializer()
  const accused = new Map<string, number>()
  const ended = new AbortController()

  const verify = async (digest: string, signal: AbortSignal): Promise<void> => {
    const entry = entryOf(layout, digest)
    try {
      const fault = await faultOf(entry, { bytesPerSecond, signal })
      if (fault !== undefined) images.condemn(digest, fault)
      else if (examine(entry).kind === 'whole') noteVerified(entry)
    } catch (error) {
      if (!signal.aborted) log.warn({ err: error, digest }, 'the image could not be verified')
    }
  }

  return {
    run: async (signal) => {
      signal.addEventListener('abort', () => ended.abort(), { once: true })
      const unverified = contentsOf(layout)
        .filter(({ entry }) => !isVerified(entry))
        .toSorted((a, b) => b.lastUse - a.lastUse)
      for (const { digest } of unverified) if (!signal.aborted) await verify(digest, signal)
    },
    accuse: (digest) => {
      const now = clock.now().getTime()
      if (now - (accused.get(digest) ?? Number.NEGATIVE_INFINITY) < accusedOnceMs) return
      accused.set(digest, now)
      void oneAtATime('accused', () => verify(digest, ended.signal))
    },
  }
}
