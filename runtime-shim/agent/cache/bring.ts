import { open } from 'node:fs/promises'
import { imageSourceOf } from '../../../kube/image-source.ts'
import { type Fetch, fetchImage } from '../../image/fetch.ts'
import { sha256Of } from '../../image/sha256.ts'
import { checkImage } from './check-image.ts'
import type { BroughtImage, FetchImage } from './make.ts'

/** The sum is taken while the disk is at work. */
const syncAndSum = async (path: string, known: string | undefined): Promise<string> => {
  const handle = await open(path, 'r')
  try {
    const [digest] = await Promise.all([known ?? sha256Of(handle), handle.sync()])
    return digest
  } finally {
    await handle.close()
  }
}

/**
 * Fetches an image; what others have made is then looked at before it counts as one.
 *
 * @param web how web servers are reached, where that is not the usual way
 */
export const bringImage = async (wanted: Parameters<FetchImage>[0], web?: Fetch['web']): Promise<BroughtImage> => {
  const { reference, digest, target, signal } = wanted
  const fetched = await fetchImage({ ...wanted, web })
  if (imageSourceOf(reference) !== 'registry') await checkImage(target, digest)
  signal.throwIfAborted()
  return { ...fetched, fileDigest: await syncAndSum(target, fetched.fileDigest) }
}
