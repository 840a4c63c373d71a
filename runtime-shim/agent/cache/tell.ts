import type { KubeClient } from '../../../kube/client.ts'
import type { EventRecorder, EventSubject } from '../../../kube/events.ts'
import type { Logger } from '../../../kube/log.ts'
import { apiVersion } from '../../../kube/names.ts'
import { instances, nodes } from '../../../kube/resources.ts'
import type { NodeLayout } from '../../node/layout.ts'
import { ticketsIn } from './in-use.ts'
import type { Corruption } from './observer.ts'

export interface Teller {
  layout: NodeLayout
  client: Pick<KubeClient, 'get'>
  events: EventRecorder
  nodeName: string
  log: Logger
}

const reason = 'ImageCorrupt'

/** Those that run on the image, or may at any moment. */
const instancesOn = async ({ layout, client }: Teller, digest: string): Promise<EventSubject[]> => {
  const tickets = ticketsIn(layout).filter(({ image }) => image.volume === null && image.digest === digest)
  const found = await Promise.all(
    tickets.map(({ pod, instance }) => client.get(instances, { namespace: pod.namespace, name: instance.name })),
  )
  return found.flatMap((instance) => (instance ? [{ apiVersion, kind: 'Instance', metadata: instance.metadata }] : []))
}

/** Tells of a corrupt image: on the Node, whose disk it may be, and on the Instances that have it mounted. */
const tell = async (teller: Teller, { digest, reference, what, inUse }: Corruption): Promise<void> => {
  const { client, events, nodeName } = teller
  const image = reference ?? digest
  const node = await client.get(nodes, { namespace: '', name: nodeName })
  const message = `image ${image} in the cache of node ${nodeName} is damaged: ${what}; it is fetched anew for the next start`
  if (node) events.event({ apiVersion: 'v1', kind: 'Node', metadata: node.metadata }, 'Warning', reason, message)
  if (!inUse) return
  for (const instance of await instancesOn(teller, digest))
    events.event(instance, 'Warning', reason, `${message}: restart the instance, what it reads may be wrong`)
}

/** In the log and in Events, which may fail. */
export const tellCorrupt = (teller: Teller, corruption: Corruption): void => {
  const { log } = teller
  log.warn({ ...corruption }, 'an image in the cache is not as it was made')
  tell(teller, corruption).catch((error: unknown) => log.warn({ err: error }, 'the damage is not told in Events'))
}
