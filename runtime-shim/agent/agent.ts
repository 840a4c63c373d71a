import type { KubeClient } from '../../kube/client.ts'
import { systemClock } from '../../kube/clock.ts'
import { createEventRecorder } from '../../kube/events.ts'
import type { Logger } from '../../kube/log.ts'
import type { Metrics } from '../../kube/metrics.ts'
import { runtimeClassName } from '../../kube/names.ts'
import { allSynced, createReflector } from '../../kube/reflector.ts'
import { keyOf } from '../../kube/resource.ts'
import { type Pod, pods } from '../../kube/resources.ts'
import { createWorkQueue } from '../../kube/work-queue.ts'
import { convertImage } from '../image/convert.ts'
import type { NodeLayout } from '../node/layout.ts'
import { createImageCache, type ImageCache } from './cache/images.ts'
import { createAttempts } from './pods/attempts.ts'
import { createEndings } from './pods/endings.ts'
import { createPodReconciler } from './pods/reconcile.ts'
import { isEnding } from './pods/release.ts'
import { sweepPods } from './pods/sweep.ts'

interface Parts {
  client: KubeClient
  layout: NodeLayout
  nodeName: string
  log: Logger
  metrics: Metrics
}

export interface NodeAgent {
  /** Serves the node's pods until the signal is aborted. Mounts that are there stay. */
  run(signal: AbortSignal): Promise<void>
  isSynced(): boolean
}

/** Pods wait in their passes for images and for the kubelet: there is room for many. */
const concurrency = 64

const sweepEveryMs = 60_000

const createMetricsOfNode = (metrics: Metrics, images: () => ImageCache) => {
  const conversions = metrics.counter('lamina_image_conversions_total', 'Images converted, by result.', ['result'])
  const seconds = metrics.histogram('lamina_image_conversion_seconds', 'From the request to the whole squashfs.')
  const cached = metrics.gauge('lamina_cached_images', 'Images in the cache of the node.')
  const tickets = metrics.counter('lamina_tickets_total', 'Leaves to mount given.')
  const releases = metrics.counter('lamina_releases_total', 'Pods of which the node has proved nothing mounted.')
  const troubles = metrics.counter('lamina_troubles_total', 'What kept a pod from being mounted, by reason.', [
    'reason',
  ])
  return {
    onConverted: (took: number, succeeded: boolean): void => {
      conversions.inc({ result: succeeded ? 'success' : 'error' })
      seconds.observe(took)
      cached.set(images().digests().length)
    },
    onTicket: () => tickets.inc(),
    onRelease: () => releases.inc(),
    onTrouble: (reason: string) => troubles.inc({ reason }),
  }
}

const isOurs = ({ spec }: Pod): boolean => spec?.runtimeClassName === runtimeClassName

export const createAgent = ({ client, layout, nodeName, log, metrics }: Parts): NodeAgent => {
  const stopping = new AbortController()
  const attempts = createAttempts()
  const endings = createEndings()
  const measured = createMetricsOfNode(metrics, () => images)
  const images = createImageCache(
    layout,
    (conversion) => convertImage({ ...conversion, signal: stopping.signal }),
    measured.onConverted,
  )
  const cache = createReflector({
    client,
    resource: pods,
    fieldSelector: `spec.nodeName=${nodeName}`,
    indexes: { uid: ({ metadata }) => [metadata.uid] },
    onChange: ({ type, object }) => {
      if (!isOurs(object)) return
      if (type === 'deleted') attempts.forget(object.metadata.uid)
      if (type === 'deleted' || isEnding(object)) endings.end(object.metadata.uid)
      queue.add(keyOf(object))
    },
    log,
    metrics,
  })
  const reconcile = createPodReconciler({
    ...{ client, layout, images, cache, attempts, clock: systemClock },
    events: createEventRecorder(client, { component: 'lamina-agent', host: nodeName, log }),
    endingOf: endings.signalOf,
    ...measured,
  })
  const queue = createWorkQueue({ name: 'pod', concurrency, process: reconcile, log, metrics, maxBackoffMs: 15_000 })
  const sweep = () => sweepPods(layout, (podUID) => cache.by('uid', podUID).length > 0)

  return {
    isSynced: () => cache.lastSync() > 0,
    run: async (signal) => {
      signal.addEventListener('abort', () => stopping.abort(), { once: true })
      const observed = cache.run(signal)
      if (await allSynced([cache], signal)) {
        sweep()
        const sweeper = setInterval(sweep, sweepEveryMs)
        await queue.run(signal)
        clearInterval(sweeper)
      }
      await observed
    },
  }
}
