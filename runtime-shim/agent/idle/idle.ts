import type { KubeClient } from '../../../kube/client.ts'
import type { Clock } from '../../../kube/clock.ts'
import type { Logger } from '../../../kube/log.ts'
import type { Metrics } from '../../../kube/metrics.ts'
import type { Reflector } from '../../../kube/reflector.ts'
import type { Pod } from '../../../kube/resources.ts'
import { createWorkQueue } from '../../../kube/work-queue.ts'
import type { NodeLayout } from '../../node/layout.ts'
import { paced } from '../paced.ts'
import { mountsOf } from '../pods/records.ts'
import { observe } from './observe.ts'
import { createIdleWatch } from './watch.ts'

interface Parts {
  client: KubeClient
  cache: Reflector<Pod>
  layout: NodeLayout
  clock: Clock
  log: Logger
  metrics: Metrics
}

const longestBackoffMs = 60_000

/** Tells of the node's pods whether anybody uses them, where somebody asks. */
export const createIdle = ({ client, cache, layout, clock, log, metrics }: Parts) => {
  const watch = createIdleWatch({
    ...{ client, clock, observe },
    pods: () => cache.list().filter(({ metadata }) => metadata.deletionTimestamp === undefined),
    recordOf: ({ metadata: { uid } }) =>
      mountsOf(layout, uid)
        .toSorted((a, b) => (a.createTime < b.createTime ? -1 : 1))
        .at(-1),
    note: (pod) => cache.note(pod),
  })
  const process = paced(watch.look)
  const queue = createWorkQueue({
    ...{ name: 'idle', concurrency: 1, process, clock, log, metrics },
    maxBackoffMs: longestBackoffMs,
  })
  return {
    run: (signal: AbortSignal): Promise<void> => {
      queue.add('node')
      return queue.run(signal)
    },
  }
}
