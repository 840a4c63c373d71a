import { mkdtemp, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { NoSpaceError } from './errors.ts'
import { flattenDirectory } from './flatten.ts'
import { copyToDirectory, type RegistryAccess } from './skopeo.ts'
import { freeBytes, isFullError, type Room } from './space.ts'

export interface Conversion {
  /** `repository@sha256:…` of one platform's manifest. */
  reference: string
  access: RegistryAccess
  /** squashfs file to write; must not exist. */
  target: string
  /** For the layers, while at it. */
  scratchDir: string
  signal: AbortSignal
  onProgress(line: string): void
  /** What it may take; the whole disk when left out. */
  room?: Room | undefined
}

export interface Converted {
  /** Of the squashfs. */
  sizeBytes: number
  /** Of the layers, as the registry gave them. */
  fetchedBytes: number
  /** The image configuration's `User`. */
  user: string
}

/**
 * Image in a registry → one squashfs file with all layers merged. Nothing is
 * left behind when it fails, neither at `target` nor in `scratchDir`. The file
 * is not synced to disk.
 *
 * @throws RegistryError it cannot be had (NoSpaceError: or written)
 * @throws ConversionError nothing can be made of it
 */
export const convertImage = async (conversion: Conversion): Promise<Converted> => {
  const { reference, access, target, scratchDir, signal, onProgress, room } = conversion
  try {
    const scratch = await mkdtemp(join(scratchDir, 'convert-'))
    try {
      const dir = join(scratch, 'image')
      const fetchedBytes = await copyToDirectory(reference, { ...access, scratchDir: scratch }, dir, {
        ...{ signal, onProgress, room },
      })
      return { ...(await flattenDirectory(dir, target, { signal, onProgress })), fetchedBytes }
    } finally {
      await rm(scratch, { recursive: true, force: true })
    }
  } catch (error) {
    if (!isFullError(error)) throw error
    throw new NoSpaceError({ path: scratchDir, needed: 0, free: freeBytes(scratchDir) }, { cause: error })
  }
}
