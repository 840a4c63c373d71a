import { createAttempts } from '../../kube/attempts.ts'
import type { KubeClient } from '../../kube/client.ts'
import { systemClock } from '../../kube/clock.ts'
import { createEventRecorder } from '../../kube/events.ts'
import type { Logger } from '../../kube/log.ts'
import type { Metrics } from '../../kube/metrics.ts'
import { runtimeClassName } from '../../kube/names.ts'
import { allSynced, createReflector } from '../../kube/reflector.ts'
import { keyOf } from '../../kube/resource.ts'
import { type Pod, pods } from '../../kube/resources.ts'
import { createSerializer } from '../../kube/serially.ts'
import { createWorkQueue } from '../../kube/work-queue.ts'
import { convertImage } from '../image/convert.ts'
import { sweepNamedLocks } from '../mount/named-lock.ts'
import { lockDir, type NodeLayout } from '../node/layout.ts'
import { createImageCache, type ImageCache, sweepImageCache } from './cache/images.ts'
import { createEndings } from './pods/endings.ts'
import { sweepAuthFiles } from './pods/pull-secrets.ts'
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

/** Pods wait in their passes for registries and for the kubelet: more than a node has, so that no release waits behind them. */
const concurrency = 1024

const sweepEveryMs = 60_000
const lockKeptMs = 24 * 3_600_000

const createMetricsOfNode = (metrics: Metrics, images: () => ImageCache) => {
  const conversions = metrics.counter('lamina_image_conversions_total', 'Images converted, by result.', ['result'])
  const seconds = metrics.histogram('lamina_image_conversion_seconds', 'From the request to the whole squashfs.')
  const cached = metrics.gauge('lamina_cached_images', 'Images in the cache of the node.')
  const tickets = metrics.counter('lamina_tickets_total', 'Leaves to mount given.')
  const releases = metrics.counter('lamina_releases_total', 'Pods of which the node has proved nothing mounted.')
  const troubles = metrics.counter('lamina_troubles_total', 'What kept a pod from being mounted, by reason.', [
    'reason',
  ])
  const countImages = (): void => cached.set(images().size())
  return {
    countImages,
    onConverted: (took: number, succeeded: boolean): void => {
      conversions.inc({ result: succeeded ? 'success' : 'error' })
      seconds.observe(took)
      countImages()
    },
    onTicket: () => tickets.inc(),
    onRelease: () => releases.inc(),
    onTrouble: (reason: string) => troubles.inc({ reason }),
  }
}

const isOurs = ({ spec }: Pod): boolean => spec?.runtimeClassName === runtimeClassName

export const createAgent = ({ client, layout, nodeName, log, metrics }: Parts): NodeAgent => {
  const fieldSelector = `spec.nodeName=${nodeName}`
  const stopping = new AbortController()
  const attempts = createAttempts(systemClock)
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
    fieldSelector,
    indexes: { uid: ({ metadata }) => [metadata.uid] },
    onChange: ({ type, object }) => {
      if (!isOurs(object)) return
      const { uid } = object.metadata
      if (type === 'deleted' || isEnding(object)) endings.end(uid)
      if (type !== 'deleted') return podQueue.add(keyOf(object))
      attempts.forget(uid)
      sweepQueue.add(nodeName)
    },
    log,
    metrics,
  })
  const reconcile = createPodReconciler({
    ...{ client, layout, images, cache, attempts, log, clock: systemClock },
    onePerOverlay: createSerializer(),
    events: createEventRecorder(client, { component: 'lamina-agent', host: nodeName, log }),
    endingOf: endings.signalOf,
    ...measured,
  })
  const podQueue = createWorkQueue({ name: 'pod', concurrency, process: reconcile, log, metrics, maxBackoffMs: 15_000 })

  const sweep = async (): Promise<{ requeueAfterMs: number }> => {
    const isKnown = (podUID: string): boolean => cache.by('uid', podUID).length > 0
    const liveUIDs = async () =>
      new Set((await client.list(pods, { fieldSelector })).map(({ metadata }) => metadata.uid))
    const held = await sweepPods(layout, isKnown, liveUIDs)
    for (const uid of held) log.warn({ kind: 'Pod', uid }, 'the pod is gone, and has an overlay mounted still')
    sweepNamedLocks(lockDir(layout), new Date(systemClock.now().getTime() - lockKeptMs))
    return { requeueAfterMs: sweepEveryMs }
  }
  const sweepQueue = createWorkQueue({
    name: 'sweep',
    concurrency: 1,
    process: sweep,
    log,
    metrics,
    maxBackoffMs: 15_000,
  })

  return {
    isSynced: () => cache.lastSync() > 0,
    run: async (signal) => {
      signal.addEventListener('abort', () => stopping.abort(), { once: true })
      sweepAuthFiles(layout)
      await sweepImageCache(layout)
      measured.countImages()
      const observed = cache.run(signal)
      if (await allSynced([cache], signal)) {
        sweepQueue.add(nodeName)
        await Promise.all([podQueue.run(signal), sweepQueue.run(signal)])
      }
      await observed
    },
  }
}
