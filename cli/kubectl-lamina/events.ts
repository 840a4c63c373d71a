import type { KubeClient } from '../../kube/client.ts'
import { type Event, events } from '../../kube/resources.ts'
import { ifAllowed } from './if-allowed.ts'

/** Oldest first. */
export const byTime = (all: readonly Event[]): Event[] =>
  all.toSorted((a, b) => (String(a.lastTimestamp) < String(b.lastTimestamp) ? -1 : 1))

/** True of the node for as long as it is up, told of each of its pods, and no trouble of theirs. */
const noise = new Set(['MissingClusterDNS'])

const isTold = ({ reason = '' }: Event): boolean => !noise.has(reason)

/** What was told of an object, oldest first; nothing of what one may not read. */
export const eventsAbout = async (
  client: Pick<KubeClient, 'list'>,
  namespace: string,
  kind: string,
  name: string,
): Promise<Event[]> => {
  const fieldSelector = `involvedObject.kind=${kind},involvedObject.name=${name}`
  const told = (await ifAllowed(client.list(events, { namespace, fieldSelector }))) ?? []
  return byTime(told.filter(isTold))
}
