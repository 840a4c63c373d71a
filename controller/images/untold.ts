import type { ContainerImage } from '../../crds/container-image.ts'
import type { Clock } from '../../kube/clock.ts'
import { keyOf } from '../../kube/resource.ts'
import type { Looked } from './look.ts'
import { requestOf } from './refresh.ts'
import { sourceHashOf } from './source-hash.ts'

/**
 * What was found and does not stand in the status yet: the write may fail, and
 * the next pass has it to tell without another request.
 */
export interface Untold {
  /** Undefined when there is none of what the image asks now. */
  of(image: ContainerImage): Looked | undefined
  note(image: ContainerImage, looked: Looked): void
  /** It has been told, or the image is gone. */
  forget(key: string): void
}

/** The same source, and no look asked for since. */
const askedBy = (image: ContainerImage): string =>
  JSON.stringify([image.metadata.uid, sourceHashOf(image.spec), requestOf(image)])

/** The world goes on: an answer that could not be told for so long is asked for anew. */
const goodForMs = 60_000

export const createUntold = (clock: Pick<Clock, 'monotonicMs'>): Untold => {
  const untold = new Map<string, { asked: string; looked: Looked; until: number }>()
  return {
    of: (image) => {
      const found = untold.get(keyOf(image))
      return found?.asked === askedBy(image) && clock.monotonicMs() < found.until ? found.looked : undefined
    },
    note: (image, looked) => {
      untold.set(keyOf(image), { asked: askedBy(image), looked, until: clock.monotonicMs() + goodForMs })
    },
    forget: (key) => {
      untold.delete(key)
    },
  }
}
