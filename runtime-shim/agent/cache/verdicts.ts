import type { Clock } from '../../../kube/clock.ts'
import { imageSourceOf } from '../../../kube/image-source.ts'
import { ConversionError, FileError } from '../../image/errors.ts'
import { Trouble } from '../trouble.ts'

/**
 * Images of which nothing can be made, however often they are fetched: what was
 * found is told again for a while instead. Forgotten when the agent ends.
 */
export interface Verdicts {
  /** What was found, if that was not long ago. */
  of(image: Judged): Trouble | undefined
  /** Remembers the trouble that the error has become, if it will be the same next time. */
  note(image: Judged, error: unknown, trouble: unknown): void
}

interface Judged {
  reference: string
  digest: string
  url?: string | undefined
}

/** The bytes are what they are; a node may get another Lamina or another kernel. */
const convertedAgainMs = 3_600_000
/** A web server may get the right file at any moment. */
const fetchedAgainMs = 600_000
const mostRemembered = 256

/** Of what the bytes turned out to be, whoever named them; a digest that is only said to be a file's is another matter. */
const keyOfBytes = ({ reference, digest }: Judged): string =>
  `${imageSourceOf(reference) === 'https' ? 'file' : 'manifest'} ${digest}`

/** Of what one server gives. */
const keyOfPlace = ({ reference, url = '' }: Judged): string => `${reference} ${url}`

const memoryOf = (image: Judged, error: unknown): { key: string; ms: number } | undefined => {
  if (error instanceof ConversionError) return { key: keyOfBytes(image), ms: convertedAgainMs }
  if (error instanceof FileError && error.kind === 'Mismatch') return { key: keyOfPlace(image), ms: fetchedAgainMs }
  return undefined
}

export const createVerdicts = (clock: Pick<Clock, 'now'>): Verdicts => {
  const remembered = new Map<string, { trouble: Trouble; until: number }>()
  const now = (): number => clock.now().getTime()

  const look = (key: string): Trouble | undefined => {
    const found = remembered.get(key)
    if (found && found.until > now()) return found.trouble
    remembered.delete(key)
    return undefined
  }

  return {
    of: (image) => look(keyOfBytes(image)) ?? look(keyOfPlace(image)),
    note: (image, error, trouble) => {
      const memory = memoryOf(image, error)
      if (!memory || !(trouble instanceof Trouble)) return
      remembered.delete(memory.key)
      remembered.set(memory.key, { trouble, until: now() + memory.ms })
      const [oldest] = remembered.keys()
      if (remembered.size > mostRemembered && oldest !== undefined) remembered.delete(oldest)
    },
  }
}
