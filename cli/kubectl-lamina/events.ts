import { hasReason, type KubeClient } from '../../kube/client.ts'
import { type Event, events } from '../../kube/resources.ts'

/** Undefined of what one may not read. */
export const ifAllowed = async <T>(answer: Promise<T>): Promise<T | undefined> => {
  try {
    return await answer
  } catch (error) {
    if (hasReason(error, 'Forbidden')) return undefined
    throw error
  }
}

/** Oldest first. */
export const byTime = (all: readonly Event[]): Event[] =>
  all.toSorted((a, b) => (String(a.lastTimestamp) < String(b.lastTimestamp) ? -1 : 1))

/** What was told of an object, oldest first; nothing of what one may not read. */
export const eventsAbout = async (
  client: Pick<KubeClient, 'list'>,
  namespace: string,
  kind: string,
  name: string,
): Promise<Event[]> => {
  const fieldSelector = `involvedObject.kind=${kind},involvedObject.name=${name}`
  return byTime((await ifAllowed(client.list(events, { namespace, fieldSelector }))) ?? [])
}
