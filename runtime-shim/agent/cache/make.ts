import { mkdirSync, renameSync } from 'node:fs'
import { mkdtemp, open, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Fetch, Fetched } from '../../image/fetch.ts'
import type { Room } from '../../image/space.ts'
import { currentBootID } from '../../node/boot.ts'
import type { NodeLayout } from '../../node/layout.ts'
import { cacheRoot, type Entry, evict, type Meta, stagingPrefix } from './entry.ts'

/** An image that has been fetched, looked at, and is on disk. */
export interface BroughtImage extends Fetched {
  fileDigest: string
}

/** {@link ./bring.ts}, which the agent's end aborts too. */
export type FetchImage = (fetch: Omit<Fetch, 'web'> & { room: Room }) => Promise<BroughtImage>

const syncPath = async (path: string): Promise<void> => {
  const handle = await open(path, 'r')
  try {
    await handle.sync()
  } finally {
    await handle.close()
  }
}

const fill = async (staging: string, fetch: FetchImage, wanted: Making): Promise<{ meta: Meta; fetched: Fetched }> => {
  const { authFile, ...image } = wanted
  const { reference } = image
  const target = join(staging, 'image')
  const access = { authFile, scratchDir: staging }
  const fetched = await fetch({ ...image, access, target, scratchDir: staging })
  const { sizeBytes, user, fileDigest } = fetched
  image.signal.throwIfAborted()
  const meta = { reference, sizeBytes, user, fileDigest }
  await writeFile(join(staging, 'meta.json'), JSON.stringify(meta))
  await writeFile(join(staging, 'verified'), currentBootID())
  for (const path of [join(staging, 'meta.json'), staging]) await syncPath(path)
  return { meta, fetched }
}

interface Making {
  reference: string
  digest: string
  /** Where a file is; as its reference says when left out. */
  url: string | undefined
  room: Room
  authFile: string | undefined
  signal: AbortSignal
  onProgress(line: string): void
}

/**
 * Brings an image into the cache. Nothing of it is there when that fails.
 *
 * @param assertFits is asked with its size at the end: others may have come into the cache meanwhile
 */
export const makeEntry = async (
  layout: Pick<NodeLayout, 'cacheDir'>,
  entry: Entry,
  wanted: Making,
  { fetch, assertFits }: { fetch: FetchImage; assertFits(sizeBytes: number): void },
): Promise<{ meta: Meta; fetched: Fetched }> => {
  const root = cacheRoot(layout)
  // The whole disk may have been replaced under a running agent.
  mkdirSync(root, { recursive: true, mode: 0o700 })
  const staging = await mkdtemp(join(root, stagingPrefix))
  try {
    const made = await fill(staging, fetch, wanted)
    assertFits(made.meta.sizeBytes)
    evict(entry)
    renameSync(staging, entry.dir)
    await syncPath(root)
    return made
  } catch (error) {
    await rm(staging, { recursive: true, force: true })
    throw error
  }
}
