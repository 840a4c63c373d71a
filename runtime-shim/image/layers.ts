import { createHash } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { open, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { pipeline, type Readable, type Transform } from 'node:stream'
import { createGunzip, createZstdDecompress } from 'node:zlib'
import { ConversionError } from './errors.ts'
import { imageConfigurationSchema, manifestSchema } from './manifest.ts'

/** A layer's blob in an image directory (`dir:` of containers-transports(5)). */
export interface Layer {
  /** From 1, the lowest. */
  number: number
  file: string
  /** Digest of the uncompressed tar archive. */
  diffID: string
}

const readJson = async (file: string): Promise<unknown> => JSON.parse(await readFile(file, 'utf8'))

/** Blobs are files named by their digest without the algorithm. */
const blobFile = (dir: string, digest: string): string => join(dir, digest.slice(digest.indexOf(':') + 1))

/** What of an image directory concerns its root file system. */
export interface ImageContents {
  /** The lowest first. */
  layers: Layer[]
  /** The configuration's `User`; '' for root. */
  user: string
}

/** @throws ConversionError */
export const readContents = async (dir: string): Promise<ImageContents> => {
  const manifest = manifestSchema.safeParse(await readJson(join(dir, 'manifest.json')))
  if (!manifest.success) {
    throw new ConversionError('its manifest is neither OCI nor Docker schema 2', {}, { cause: manifest.error })
  }
  const { config, layers } = manifest.data
  const configuration = imageConfigurationSchema.safeParse(await readJson(blobFile(dir, config.digest)))
  if (!configuration.success) {
    throw new ConversionError('it is no container image: its configuration has no root file system', {})
  }
  const diffIDs = configuration.data.rootfs.diff_ids ?? []
  if (diffIDs.length !== layers.length) {
    throw new ConversionError(`its manifest lists ${layers.length} layers, its configuration ${diffIDs.length}`)
  }
  return {
    layers: layers.map(({ digest }, index) => ({
      number: index + 1,
      file: blobFile(dir, digest),
      diffID: diffIDs[index] ?? '',
    })),
    user: configuration.data.config?.User ?? '',
  }
}

/** Large enough that the thread pool's round trips do not count, small enough to keep memory flat. */
const chunkSize = 2 ** 16

const decompressors: readonly { magic: RegExp; create: (() => Transform) | undefined; name: string }[] = [
  { name: 'gzip', magic: /^1f8b/, create: () => createGunzip({ chunkSize }) },
  { name: 'zstd', magic: /^(28b52ffd|5.2a4d18)/, create: () => createZstdDecompress({ chunkSize }) },
  { name: 'bzip2', magic: /^425a68/, create: undefined },
  { name: 'xz', magic: /^fd377a58/, create: undefined },
]

const magicOf = async (file: string): Promise<string> => {
  const handle = await open(file)
  try {
    const { buffer, bytesRead } = await handle.read(Buffer.alloc(4), 0, 4, 0)
    return buffer.toString('hex', 0, bytesRead)
  } finally {
    await handle.close()
  }
}

const openUncompressed = async ({ file, number }: Layer, signal: AbortSignal): Promise<Readable> => {
  const magic = await magicOf(file)
  const decompressor = decompressors.find((candidate) => candidate.magic.test(magic))
  const compressed = createReadStream(file, { highWaterMark: chunkSize, signal })
  if (!decompressor) return compressed
  if (!decompressor.create) {
    throw new ConversionError(`it is compressed with ${decompressor.name}; images may use gzip or zstd`, {
      layer: number,
    })
  }
  // Errors reach the reader through the stream itself.
  return pipeline(compressed, decompressor.create(), () => {})
}

const isCompressionError = (error: unknown): error is Error =>
  error instanceof Error && 'code' in error && /^(Z_|ZSTD_|ERR_ZSTD)/.test(String(error.code))

/**
 * The layer's tar archive, uncompressed by what its first bytes say. Read to its
 * end, it is checked against the layer's diffID.
 *
 * @throws ConversionError
 */
export async function* readArchive(layer: Layer, signal: AbortSignal): AsyncGenerator<Buffer, void, void> {
  const [algorithm = ''] = layer.diffID.split(':')
  const hash = createHash(algorithm)
  try {
    for await (const chunk of await openUncompressed(layer, signal)) {
      hash.update(chunk)
      yield chunk
    }
  } catch (error) {
    if (!isCompressionError(error)) throw error
    throw new ConversionError(
      `its compressed data is damaged: ${error.message}`,
      { layer: layer.number },
      { cause: error },
    )
  }
  const found = `${algorithm}:${hash.digest('hex')}`
  if (found !== layer.diffID) {
    throw new ConversionError(`its content is ${found}, where the image's configuration says ${layer.diffID}`, {
      layer: layer.number,
    })
  }
}
