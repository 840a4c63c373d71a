import { createHash } from 'node:crypto'
import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { gzipSync, zstdCompressSync } from 'node:zlib'

/** Images made of hand-written layers, for tests. */

export type Compression = 'none' | 'gzip' | 'zstd'

export interface TestLayer {
  archive: Buffer
  compression?: Compression
  /** Blob instead of the compressed archive. */
  blob?: Buffer
}

const pack: Record<Compression, (bytes: Buffer) => Buffer> = {
  none: (bytes) => bytes,
  gzip: (bytes) => gzipSync(bytes, { level: 1 }),
  zstd: (bytes) => zstdCompressSync(bytes),
}
const mediaTypes: Record<Compression, string> = {
  none: 'application/vnd.oci.image.layer.v1.tar',
  gzip: 'application/vnd.oci.image.layer.v1.tar+gzip',
  zstd: 'application/vnd.oci.image.layer.v1.tar+zstd',
}

export const sha256 = (bytes: Buffer): string => createHash('sha256').update(bytes).digest('hex')

const blobsOf = (layers: readonly TestLayer[], configuration: object) => {
  const packed = layers.map(({ archive, compression = 'gzip', blob }) => ({
    mediaType: mediaTypes[compression],
    blob: blob ?? pack[compression](archive),
    diffID: `sha256:${sha256(archive)}`,
  }))
  const config = Buffer.from(
    JSON.stringify({
      architecture: 'amd64',
      os: 'linux',
      config: {},
      rootfs: { type: 'layers', diff_ids: packed.map(({ diffID }) => diffID) },
      ...configuration,
    }),
  )
  const descriptor = (mediaType: string, bytes: Buffer) => ({
    mediaType,
    digest: `sha256:${sha256(bytes)}`,
    size: bytes.length,
  })
  const manifest = Buffer.from(
    JSON.stringify({
      schemaVersion: 2,
      mediaType: 'application/vnd.oci.image.manifest.v1+json',
      config: descriptor('application/vnd.oci.image.config.v1+json', config),
      layers: packed.map(({ mediaType, blob }) => descriptor(mediaType, blob)),
    }),
  )
  return { manifest, config, blobs: packed.map(({ blob }) => blob) }
}

/** An image directory as `skopeo copy … dir:` leaves it. */
export const writeImageDirectory = async (
  dir: string,
  layers: readonly TestLayer[],
  configuration: object = {},
): Promise<void> => {
  const { manifest, config, blobs } = blobsOf(layers, configuration)
  await mkdir(dir, { recursive: true })
  await writeFile(join(dir, 'version'), 'Directory Transport Version: 1.1\n')
  await writeFile(join(dir, 'manifest.json'), manifest)
  for (const blob of [config, ...blobs]) await writeFile(join(dir, sha256(blob)), blob)
}
