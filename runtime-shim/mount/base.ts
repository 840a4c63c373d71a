import { fstatSync, readdirSync } from 'node:fs'
import { basename, dirname, join } from 'node:path'
import { BadImageError } from './bad-image.ts'
import { holding } from './descriptor.ts'
import { isOverlayRoot, namesInRoot } from './ext3-root.ts'
import { identify, layerOf } from './image-file.ts'
import { lockImage, lockListedImage } from './lock.ts'
import {
  descriptorPath,
  type OpenFile,
  openFileOrDirectoryBelow,
  withDetachedDirectory,
  withDirectory,
} from './open.ts'
import { type BaseContent, type BaseSource, type ImageLayer, type OpenBase, OverlayError } from './parts.ts'
import type { SifPartition } from './sif.ts'
import { NotExt3Error, readSuperblock } from './superblock.ts'

export interface BaseRules {
  /** Whether an ext3 file system may be given to the kernel as a base (Singularity 2.x): read-only, yet parsed by ext4's code. */
  allowExt3: boolean
  /** As Node names it. */
  architecture?: string
}

interface Root {
  content: ImageLayer
  embedded: ImageLayer | undefined
}

const sifRoot = (fd: number, size: number, partitions: readonly SifPartition[], architecture: string): Root => {
  const primaries = partitions.filter(({ role }) => role === 'primary')
  const [primary] = primaries
  if (!primary || primaries.length > 1)
    throw new BadImageError(`it has ${primaries.length} primary system partitions, and must have one`)
  if (![architecture, 'unknown'].includes(primary.architecture))
    throw new BadImageError(
      `it is for ${primary.architecture}, and this node is ${architecture}`,
      'take one for such nodes, or name its architecture in spec.platform of the ContainerImage',
    )
  const overlays = partitions.filter(({ role }) => role === 'overlay')
  const [overlay] = overlays
  if (overlays.length > 1) throw new BadImageError(`it has ${overlays.length} overlay partitions, and may have one`)
  return {
    content: layerOf(fd, primary, size),
    embedded: overlay && layerOf(fd, overlay, size),
  }
}

/** Read-only devices cannot replay a journal, and a base is never written. */
const assertClean = (fd: number, { kind, extent }: ImageLayer): void => {
  if (kind !== 'ext3' || !readSuperblock(fd, extent.offset).needsRecovery) return
  throw new BadImageError('its ext3 file system was not cleanly unmounted', 'run e2fsck on it first')
}

const rootOf = (fd: number, { allowExt3, architecture = process.arch }: BaseRules): Root => {
  const { size } = fstatSync(fd)
  const image = identify(fd, size)
  const root =
    image.kind === 'sif' ? sifRoot(fd, size, image.partitions, architecture) : { content: image, embedded: undefined }
  if (root.content.kind === 'ext3' && isOverlayRoot(namesInRoot(fd, root.content.extent.offset))) {
    throw new BadImageError(
      'it is an ext3 overlay, whose root has upper and work and nothing else, and no container',
      'use it as a PersistentOverlay (spec.storage.existingClaimName) upon the image that it was made for',
    )
  }
  if (root.content.kind === 'ext3' && !allowExt3) {
    throw new BadImageError(
      'it is an ext3 container image of Singularity 2.x',
      'an administrator must allow those for the namespace (allowedSources.ext3Base), or convert it with `apptainer build`',
    )
  }
  for (const layer of [root.content, root.embedded]) if (layer) assertClean(fd, layer)
  return root
}

const shownOf = (source: BaseSource): string =>
  source.kind === 'file' ? source.path : (source.shown ?? join(source.directory, source.path))

const openSource = (source: BaseSource, shown: string): OpenFile => {
  const { path } = source
  if (source.kind === 'below')
    return withDetachedDirectory(source.directory, (dirfd) => openFileOrDirectoryBelow(dirfd, path, 'read', shown))
  return withDirectory(dirname(path), (dirfd) => openFileOrDirectoryBelow(dirfd, basename(path), 'read', shown))
}

/** A volume in which only the image's file lies is soon taken for a sandbox, when its path is forgotten. */
const assertSandbox = (fd: number): void => {
  const entries = readdirSync(descriptorPath(fd), { withFileTypes: true })
  if (entries.some((entry) => (entry.isDirectory() && entry.name !== 'lost+found') || entry.isSymbolicLink())) return
  throw new BadImageError('it is a directory without directories, and no root of a container')
}

const openRoot = (file: OpenFile, source: BaseSource, path: string, rules: BaseRules): OpenBase => {
  if (file.stats.isDirectory()) {
    if (source.kind === 'file') throw new BadImageError('it is a directory')
    assertSandbox(file.fd)
    const content: BaseContent = { kind: 'directory', directory: source.directory, path: source.path }
    return { path, fd: file.fd, content, embedded: undefined }
  }
  const lock = source.kind === 'file' ? lockListedImage : lockImage
  lock(file.fd, 'shared', path)
  return { path, fd: file.fd, ...rootOf(file.fd, rules) }
}

const explain = (path: string, error: unknown): unknown =>
  error instanceof BadImageError || error instanceof NotExt3Error
    ? new OverlayError(`${path}: ${error.message}`, { cause: error })
    : error

/**
 * Opens what a root stands on: squashfs, SIF (its primary partition, where it
 * lies), either behind the launch line of Singularity 2.x, an ext3 container image
 * where that is allowed, or a directory on a volume. A file is locked for reading,
 * which keeps it from being collected and from being written by Apptainer.
 *
 * @throws OverlayError naming the file, when it is damaged or may not be mounted; ENOENT, also when a file of the cache
 * is collected meanwhile
 */
export const openBase = (source: BaseSource, rules: BaseRules): OpenBase => {
  const path = shownOf(source)
  const file = openSource(source, path)
  return holding(file.fd, () => {
    try {
      return openRoot(file, source, path, rules)
    } catch (error) {
      throw explain(path, error)
    }
  })
}
