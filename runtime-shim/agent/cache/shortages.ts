import type { Clock } from '../../../kube/clock.ts'
import { imageSourceOf } from '../../../kube/image-source.ts'
import { CacheFullError, NoSpaceError } from '../../image/errors.ts'
import { isFullError } from '../../image/space.ts'
import { Trouble } from '../trouble.ts'

/** How much room has to be made for another try, and how much at least: with less it would be in vain. */
interface Lack {
  bytes: number
  atLeast: number
}

/** Where nobody can tell how much it takes. */
const unknownRoom = 2 ** 30

const isShortage = (error: unknown): error is NoSpaceError | CacheFullError =>
  error instanceof NoSpaceError || error instanceof CacheFullError

/** Whether it was stopped without anybody knowing how much more was to come. */
const isUnknown = (error: unknown): boolean => (isShortage(error) ? error.lacking === 0 : isFullError(error))

/** Undefined where room does not help. A prefetch of which nobody knows how large it is drives out nothing. */
export const lackOf = (error: unknown, beforehand: boolean): Lack | undefined => {
  if (isUnknown(error)) return beforehand ? undefined : { bytes: unknownRoom, atLeast: 0 }
  return isShortage(error) ? { bytes: error.lacking, atLeast: error.lackingAtLeast } : undefined
}

/**
 * Images that were stopped while they came, since they took more than there was
 * room for: only then is it known, and all the work was for nothing. They are not
 * tried again while there is no more room than that, and each time later.
 * Forgotten when the agent ends.
 */
export interface Shortages {
  /** What was found, as long as another try would be in vain. */
  of(image: Wanted, hasRoom: (bytes: number) => boolean): Trouble | undefined
  /** Remembers the trouble that the error has become, if much was done for it. */
  note(image: Wanted, error: unknown, trouble: unknown): void
  forget(image: Wanted): void
}

interface Wanted {
  reference: string
  url?: string | undefined
  beforehand?: boolean
}

interface Shortage {
  trouble: Trouble
  /** It takes more. */
  bytes: number
  count: number
  since: number
}

const firstMs = 60_000
/** After so long a web server may give a smaller file under the name; a manifest stays what it is. */
const longestMs = 3_600_000
const mostRemembered = 256

/** Not of the digest alone: what a stranger's server gives for it is no reason to refuse it to others. */
const keyOf = ({ reference, url = '', beforehand = false }: Wanted): string => `${beforehand} ${reference} ${url}`

export const createShortages = (clock: Pick<Clock, 'now'>): Shortages => {
  const remembered = new Map<string, Shortage>()
  const now = (): number => clock.now().getTime()

  return {
    of: (image, hasRoom) => {
      const found = remembered.get(keyOf(image))
      if (!found) return undefined
      const { trouble, bytes, count, since } = found
      const passed = now() - since
      if (passed < Math.min(firstMs * 2 ** (count - 1), longestMs)) return trouble
      const mayBeSmaller = imageSourceOf(image.reference) === 'https' && passed >= longestMs
      return mayBeSmaller || hasRoom(bytes) ? undefined : trouble
    },
    note: (image, error, trouble) => {
      if (!isUnknown(error) || !(trouble instanceof Trouble)) return
      const key = keyOf(image)
      const count = (remembered.get(key)?.count ?? 0) + 1
      remembered.delete(key)
      remembered.set(key, { trouble, bytes: isShortage(error) ? error.taken : 0, count, since: now() })
      const [oldest] = remembered.keys()
      if (remembered.size > mostRemembered && oldest !== undefined) remembered.delete(oldest)
    },
    forget: (image) => {
      remembered.delete(keyOf(image))
    },
  }
}
