import type { ContainerImage } from '../../crds/container-image.ts'
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

export const createUntold = (): Untold => {
  const untold = new Map<string, { asked: string; looked: Looked }>()
  return {
    of: (image) => {
      const found = untold.get(keyOf(image))
      return found?.asked === askedBy(image) ? found.looked : undefined
    },
    note: (image, looked) => {
      untold.set(keyOf(image), { asked: askedBy(image), looked })
    },
    forget: (key) => {
      untold.delete(key)
    },
  }
}
