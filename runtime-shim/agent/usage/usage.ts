import type { Clock } from '../../../kube/clock.ts'
import type { Metrics } from '../../../kube/metrics.ts'
import { createWorkQueue } from '../../../kube/work-queue.ts'
import { lockDir, type NodeLayout } from '../../node/layout.ts'
import { paced } from '../paced.ts'
import type { OverlayReporter } from '../pods/report.ts'
import { createEphemeralWatch } from './ephemeral.ts'
import { createOverlayGauges } from './gauges.ts'
import { createOverlayGrower, type GrowthParts } from './growth.ts'
import { probe, readBlocks } from './probe.ts'
import { observeRunning } from './running.ts'
import { createUsageWatch, type UsageParts } from './watch.ts'

const tellers = 4

/** Until an API server that has been away is asked again. */
const longestBackoffMs = 300_000

export interface UsageOfNode extends Omit<GrowthParts, 'lockDir'> {
  layout: NodeLayout
  report: OverlayReporter
  askedSize: UsageParts['askedSize']
  metrics: Metrics
  clock: Clock
}

/**
 * Tells how full the overlays of running instances are, in metrics and in their
 * status. Asks the kernel every ten seconds, less often where that would take
 * more than a thousandth of a core, and the API server rarely.
 */
export const createUsage = (
  { layout, report, askedSize, metrics, clock, ...growth }: UsageOfNode,
  kernel: Pick<UsageParts, 'probe' | 'readBlocks'> = { probe, readBlocks: ({ record }) => readBlocks(record) },
): { run(signal: AbortSignal): Promise<void> } => {
  const { log } = growth
  const ephemerals = createEphemeralWatch(metrics, clock)
  const overlays = createUsageWatch({
    ...{ report, askedSize, clock, log, ...kernel },
    running: () => observeRunning(layout).overlays,
    enqueue: (key) => tellQueue.add(key),
    enqueueGrowth: (key) => growQueue.add(key),
    gauges: createOverlayGauges(metrics),
    grower: createOverlayGrower({ ...growth, lockDir: lockDir(layout) }),
  })
  const look = paced(async () => {
    const running = observeRunning(layout)
    await overlays.look(running.overlays)
    await ephemerals.look(running.ephemerals)
  })
  const queues = { log, metrics, clock, maxBackoffMs: longestBackoffMs }
  const lookQueue = createWorkQueue({ ...queues, name: 'usage', concurrency: 1, process: look })
  const tellQueue = createWorkQueue({ ...queues, name: 'overlay', concurrency: tellers, process: overlays.tell })
  // One that waits for a dead volume has no end: no others wait for it.
  const endless = { concurrency: Number.POSITIVE_INFINITY, process: overlays.grow }
  const growQueue = createWorkQueue({ ...queues, ...endless, name: 'growth' })
  return {
    run: async (signal) => {
      lookQueue.add('node')
      await Promise.all([lookQueue, tellQueue, growQueue].map((queue) => queue.run(signal)))
    },
  }
}
