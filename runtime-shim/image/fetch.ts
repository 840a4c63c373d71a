import { chmod } from 'node:fs/promises'
import { imageSourceOf } from '../../kube/image-source.ts'
import { type Conversion, convertImage } from './convert.ts'
import { type Download, downloadFile } from './download.ts'
import { ConversionError } from './errors.ts'
import { fetchArtifact } from './oras.ts'
import { wholeDisk, withinRoom } from './space.ts'

export interface Fetch extends Conversion {
  /** What `reference` ends in. */
  digest: string
  /** Where a file from a web server is; as its reference says when left out. */
  url?: string | undefined
  /** How web servers are reached, where that is not the usual way. */
  web?: Download['web'] | undefined
}

export interface Fetched {
  sizeBytes: number
  /** That came over the network. */
  fetchedBytes: number
  /** Who a container of it runs as; '' is root. */
  user: string
  /** `sha256:…` of the file where that is known by now. */
  fileDigest: string | undefined
}

/** Files have no configuration that could name a user. */
const asFile = (sizeBytes: number, fileDigest: string): Fetched => ({
  ...{ sizeBytes, fileDigest },
  fetchedBytes: sizeBytes,
  user: '',
})

const fetchFile = async (fetch: Fetch, source: 'https' | 'oras'): Promise<Fetched> => {
  const { reference, digest, access, target } = fetch
  if (source === 'oras') {
    const { sizeBytes, digest: fileDigest } = await fetchArtifact(reference, access, target, fetch)
    return asFile(sizeBytes, fileDigest)
  }
  const url = fetch.url ?? reference.slice(0, -`@${digest}`.length)
  const { sizeBytes } = await downloadFile({ ...fetch, url })
  return asFile(sizeBytes, digest)
}

const bring = async (fetch: Fetch): Promise<Fetched> => {
  const source = imageSourceOf(fetch.reference)
  if (source === 'registry') return { ...(await convertImage(fetch)), fileDigest: undefined }
  if (source === 'volume') throw new ConversionError(`${fetch.reference} lies on a volume, and is not fetched`)
  const fetched = await fetchFile(fetch, source)
  await chmod(fetch.target, 0o400)
  return fetched
}

/**
 * Brings an image to `target` by its resolved reference: one of a registry as a
 * squashfs of its layers, a file from a URL as it is. Nothing is left behind
 * when it fails. The file is root's, read-only, and not synced to disk.
 *
 * @throws RegistryError (NoSpaceError, CacheFullError), FileError, ConversionError
 */
export const fetchImage = (fetch: Fetch): Promise<Fetched> => {
  const { target, scratchDir, room = wholeDisk } = fetch
  return withinRoom({ target, scratchDir, room }, fetch.signal, (signal) => bring({ ...fetch, signal }))
}
