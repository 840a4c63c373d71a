import { existsSync, mkdirSync, readdirSync } from 'node:fs'
import { mkdtemp, open, rename, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import * as z from 'zod/mini'
import { unlessAborted } from '../../../kube/clock.ts'
import { isDigest } from '../../../kube/digest.ts'
import { readJson } from '../../node/json-file.ts'
import { imagePaths, type NodeLayout } from '../../node/layout.ts'
import { Trouble } from '../trouble.ts'
import { createLimiter } from './limiter.ts'
import { imageTrouble } from './trouble.ts'

const metaSchema = z.object({ reference: z.string(), sizeBytes: z.number(), user: z.string() })

export interface CachedImage {
  /** The image configuration's `User`. */
  user: string
}

export interface WantedImage {
  /** `repository@sha256:…` */
  reference: string
  digest: string
  /** Calls `act` with an auth file for the registry, where there are pull secrets; it is gone afterwards. */
  withAuthFile<T>(act: (authFile: string | undefined) => Promise<T>): Promise<T>
  onProgress(line: string): void
}

/** `convertImage`, with the signal of the agent's end. */
export type Convert = (options: {
  reference: string
  access: { authFile: string | undefined; scratchDir: string }
  target: string
  scratchDir: string
  onProgress(line: string): void
}) => Promise<{ sizeBytes: number; user: string }>

export interface ImageCache {
  /** The image, if it is there. */
  find(digest: string): CachedImage | undefined
  /**
   * The image, fetched and converted if it is not there; once for a digest
   * however many ask. Undefined when the signal ends the wait: the work goes on.
   *
   * @throws Trouble
   */
  ensure(wanted: WantedImage, signal: AbortSignal): Promise<CachedImage | undefined>
  /** How many are there. */
  size(): number
}

const stagingPrefix = '.making-'

/** A conversion takes two processors for itself, and the memory of its tree of files. */
const conversionsAtOnce = 2

const syncPath = async (path: string): Promise<void> => {
  const handle = await open(path, 'r')
  try {
    await handle.sync()
  } finally {
    await handle.close()
  }
}

interface Work {
  done: Promise<CachedImage>
  listeners: Set<WantedImage['onProgress']>
}

/** Images of a node as directories named by digest. Each appears by a rename, when it is whole and on disk. */
export const createImageCache = (
  { cacheDir }: Pick<NodeLayout, 'cacheDir'>,
  convert: Convert,
  onConverted: (seconds: number, succeeded: boolean) => void = () => {},
): ImageCache => {
  const root = join(cacheDir, 'images')
  const pathsOf = (digest: string) => {
    if (isDigest(digest)) return imagePaths({ cacheDir }, digest)
    throw new Trouble(
      'ImageReferenceInvalid',
      `"${digest}" is not the digest of an image: sha256 or sha512 in hexadecimal`,
    )
  }
  const underWay = new Map<string, Work>()
  const limited = createLimiter(conversionsAtOnce)

  const find: ImageCache['find'] = (digest) => {
    const meta = readJson(pathsOf(digest).meta, metaSchema)
    return meta && { user: meta.user }
  }

  const make = async (wanted: WantedImage, onProgress: WantedImage['onProgress']): Promise<CachedImage> => {
    const { reference, digest } = wanted
    const { dir } = pathsOf(digest)
    // The whole disk may have been replaced under a running agent.
    mkdirSync(root, { recursive: true, mode: 0o700 })
    const staging = await mkdtemp(join(root, stagingPrefix))
    try {
      const target = join(staging, 'root.squashfs')
      const { sizeBytes, user } = await wanted.withAuthFile((authFile) =>
        convert({ reference, access: { authFile, scratchDir: staging }, target, scratchDir: staging, onProgress }),
      )
      await writeFile(join(staging, 'meta.json'), JSON.stringify({ reference, sizeBytes, user }))
      for (const path of [target, join(staging, 'meta.json'), staging]) await syncPath(path)
      // Without its meta.json what is there is no image.
      await rm(dir, { recursive: true, force: true })
      await rename(staging, dir)
      await syncPath(root)
      return { user }
    } catch (error) {
      await rm(staging, { recursive: true, force: true })
      throw imageTrouble(error)
    }
  }

  const measured = async (wanted: WantedImage, onProgress: WantedImage['onProgress']): Promise<CachedImage> => {
    const started = performance.now()
    const told = (succeeded: boolean): void => onConverted((performance.now() - started) / 1000, succeeded)
    try {
      const image = await make(wanted, onProgress)
      told(true)
      return image
    } catch (error) {
      told(false)
      throw error
    }
  }

  const begin = (wanted: WantedImage): Work => {
    const listeners: Work['listeners'] = new Set()
    const tell = (line: string): void => {
      for (const listener of listeners) listener(line)
    }
    const done = limited(() => measured(wanted, tell)).finally(() => underWay.delete(wanted.digest))
    const work = { done, listeners }
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
    ensure: async (wanted, signal) => {
      for (;;) {
        const present = find(wanted.digest)
        if (present || signal.aborted) return present
        const others = underWay.get(wanted.digest)
        if (!others) return follow(begin(wanted), wanted, signal)
        // Its credentials are not ours: where it fails, we may not.
        await follow(others, wanted, signal).catch(() => undefined)
      }
    },
    size: () => (existsSync(root) ? readdirSync(root).filter((name) => !name.startsWith('.')).length : 0),
  }
}

/** Removes what a conversion left that was cut off with its agent; to be called before the first of this one. */
export const sweepImageCache = async ({ cacheDir }: Pick<NodeLayout, 'cacheDir'>): Promise<void> => {
  const root = join(cacheDir, 'images')
  if (!existsSync(root)) return
  const leftovers = readdirSync(root).filter((name) => name.startsWith(stagingPrefix))
  await Promise.all(leftovers.map((name) => rm(join(root, name), { recursive: true, force: true })))
}
