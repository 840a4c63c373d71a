import { imageSourceOf } from '../../../kube/image-source.ts'
import { type Fetch, fetchImage } from '../../image/fetch.ts'
import { checkImage } from './check-image.ts'
import type { FetchImage } from './make.ts'

/**
 * `fetchImage` until the signal of the agent's end is aborted, or the fetch's own; what others have made is then looked
 * at before it counts as an image.
 *
 * @param web how web servers are reached, where that is not the usual way
 */
export const createFetch =
  (signal: AbortSignal, web?: Fetch['web']): FetchImage =>
  async (wanted) => {
    const fetched = await fetchImage({ ...wanted, signal: AbortSignal.any([signal, wanted.signal]), web })
    if (imageSourceOf(wanted.reference) !== 'registry') await checkImage(wanted.target, wanted.digest)
    return fetched
  }
