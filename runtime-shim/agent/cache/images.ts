import { mkdirSync, readdirSync } from 'node:fs'
import { mkdtemp, open, rename, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { z } from 'zod/mini'
import { ConversionError, RegistryError } from '../../image/errors.ts'
import { hasCode } from '../../mount/syscalls.ts'
import { readJson } from '../../node/json-file.ts'
import type { NodeLayout } from '../../node/layout.ts'
import { Trouble } from '../trouble.ts'

const metaSchema = z.object({ reference: z.string(), sizeBytes: z.number(), user: z.string() })

export interface CachedImage {
  /** Absolute path of the flattened squashfs. */
  squashfs: string
  /** The image configuration's `User`. */
  user: string
}

export interface WantedImage {
  /** `repository@sha256:…` */
  reference: string
  digest: string
  /** Auth file for the registry, where pull secrets were given. */
  authFile: string | undefined
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
  /** The image, fetched and converted if it is not there; once for a digest however many ask. @throws Trouble */
  ensure(wanted: WantedImage): Promise<CachedImage>
  /** Digests that are there. */
  digests(): string[]
}

const stagingPrefix = '.making-'

const reasons: Record<RegistryError['kind'], string> = {
  NotFound: 'ImageNotFound',
  Unauthorized: 'ImageUnauthorized',
  Unreachable: 'ImageUnreachable',
  NoPlatform: 'ImagePlatformNotFound',
  NoSpace: 'ImageNoSpace',
  Other: 'ImagePullFailed',
}

const explain = (error: unknown): unknown => {
  if (error instanceof RegistryError) return new Trouble(reasons[error.kind], error.message, { cause: error })
  if (error instanceof ConversionError) return new Trouble('ImageNotConverted', error.message, { cause: error })
  if (hasCode(error, 'ENOSPC', 'EDQUOT')) {
    const message = `no space left for the image in the node's cache: ${error instanceof Error ? error.message : ''}`
    return new Trouble('ImageNoSpace', message, { cause: error })
  }
  return error
}

const syncPath = async (path: string): Promise<void> => {
  const handle = await open(path, 'r')
  try {
    await handle.sync()
  } finally {
    await handle.close()
  }
}

/** Images of a node as directories named by digest. Each appears by a rename, when it is whole and on disk. */
export const createImageCache = (
  { cacheDir }: Pick<NodeLayout, 'cacheDir'>,
  convert: Convert,
  onConverted: (seconds: number, succeeded: boolean) => void = () => {},
): ImageCache => {
  const root = join(cacheDir, 'images')
  const dirOf = (digest: string) => join(root, digest.replace(':', '-'))
  const underWay = new Map<string, { done: Promise<CachedImage>; listeners: Set<WantedImage['onProgress']> }>()
  mkdirSync(root, { recursive: true, mode: 0o700 })

  const read = (digest: string): CachedImage | undefined => {
    const meta = readJson(join(dirOf(digest), 'meta.json'), metaSchema)
    return meta && { squashfs: join(dirOf(digest), 'root.squashfs'), user: meta.user }
  }

  const make = async ({ reference, digest, authFile }: WantedImage, onProgress: WantedImage['onProgress']) => {
    const staging = await mkdtemp(join(root, stagingPrefix))
    try {
      const target = join(staging, 'root.squashfs')
      const access = { authFile, scratchDir: staging }
      const { sizeBytes, user } = await convert({ reference, access, target, scratchDir: staging, onProgress })
      await writeFile(join(staging, 'meta.json'), JSON.stringify({ reference, sizeBytes, user }))
      for (const path of [target, join(staging, 'meta.json'), staging]) await syncPath(path)
      await rename(staging, dirOf(digest))
      await syncPath(root)
    } catch (error) {
      await rm(staging, { recursive: true, force: true })
      throw error
    }
  }

  const begin = (wanted: WantedImage) => {
    const listeners = new Set([wanted.onProgress])
    const tell = (line: string): void => {
      for (const listener of listeners) listener(line)
    }
    const started = performance.now()
    const converting = async (): Promise<CachedImage> => {
      let succeeded = false
      try {
        await make(wanted, tell)
        const made = read(wanted.digest)
        if (!made) throw new Error(`${dirOf(wanted.digest)} is gone as soon as it was made`)
        succeeded = true
        return made
      } catch (error) {
        throw explain(error)
      } finally {
        underWay.delete(wanted.digest)
        onConverted((performance.now() - started) / 1000, succeeded)
      }
    }
    const work = { done: converting(), listeners }
    underWay.set(wanted.digest, work)
    return work
  }

  return {
    ensure: async (wanted) => {
      const present = read(wanted.digest)
      if (present) return present
      const work = underWay.get(wanted.digest) ?? begin(wanted)
      work.listeners.add(wanted.onProgress)
      return work.done
    },
    digests: () => readdirSync(root).flatMap((name) => (name.startsWith('.') ? [] : [name.replace('-', ':')])),
  }
}

/** Removes what a conversion left that was cut off with its agent; to be called before the first of this one. */
export const sweepImageCache = async ({ cacheDir }: Pick<NodeLayout, 'cacheDir'>): Promise<void> => {
  const root = join(cacheDir, 'images')
  mkdirSync(root, { recursive: true, mode: 0o700 })
  const leftovers = readdirSync(root).filter((name) => name.startsWith(stagingPrefix))
  await Promise.all(leftovers.map((name) => rm(join(root, name), { recursive: true, force: true })))
}
