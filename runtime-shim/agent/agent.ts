import type { AllowedSources } from '../../kube/allowed-sources.ts'
import { createAttempts } from '../../kube/attempts.ts'
import type { KubeClient } from '../../kube/client.ts'
import { systemClock } from '../../kube/clock.ts'
import { createEventRecorder } from '../../kube/events.ts'
import type { Logger } from '../../kube/log.ts'
import type { Metrics } from '../../kube/metrics.ts'
import { annotations, runtimeClassName } from '../../kube/names.ts'
import { allSynced, createReflector } from '../../kube/reflector.ts'
import { keyOf, parseKey } from '../../kube/resource.ts'
import { type Pod, pods } from '../../kube/resources.ts'
import { createSerializer } from '../../kube/serially.ts'
import { createWorkQueue } from '../../kube/work-queue.ts'
import { sweepNamedLocks } from '../mount/named-lock.ts'
import { lockDir, type NodeLayout } from '../node/layout.ts'
import { accusedImage } from './cache/accused.ts'
import { createFetchApart } from './cache/fetch-apart.ts'
import { createCacheMetrics } from './cache/metrics.ts'
import { createNodeCache } from './cache/node-cache.ts'
import type { CacheLimits } from './cache/policy.ts'
import { tellCorrupt } from './cache/tell.ts'
import { createIdle } from './idle/idle.ts'
import { isDeviceMountedApart, prepareApart } from './overlay/apart.ts'
import { knowingOwnWrites } from './overlay/own-writes.ts'
import { workerProgram } from './overlay/run-worker.ts'
import { createDeviceAsker } from './pods/ask-devices.ts'
import { createEndings } from './pods/endings.ts'
import { createFiguresReader } from './pods/left-figures.ts'
import { sweepOtherBoot } from './pods/other-boot.ts'
import { createPrefetchReconciler, isPrefetch } from './pods/prefetch.ts'
import { sweepAuthFiles } from './pods/pull-secrets.ts'
import { createPodReconciler } from './pods/reconcile.ts'
import { isEnding } from './pods/release.ts'
import { createOverlayReporter } from './pods/report.ts'
import { sweepPods } from './pods/sweep.ts'
import { createUsage } from './usage/usage.ts'

interface Parts {
  client: KubeClient
  allowedSources: AllowedSources
  cacheLimits: CacheLimits
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

const createMetricsOfNode = (metrics: Metrics) => {
  const tickets = metrics.counter('lamina_tickets_total', 'Leaves to mount given.')
  const releases = metrics.counter('lamina_releases_total', 'Pods of which the node has proved nothing mounted.')
  const troubles = metrics.counter(
    'lamina_troubles_total',
    'What kept a pod from being mounted, by reason; what passes within moments counts when it has not.',
    ['reason'],
  )
  return {
    onTicket: () => tickets.inc(),
    onRelease: () => releases.inc(),
    onTrouble: (reason: string) => troubles.inc({ reason }),
  }
}

const isOurs = ({ spec }: Pod): boolean => spec?.runtimeClassName === runtimeClassName

export const createAgent = (parts: Parts): NodeAgent => {
  const { client, allowedSources, cacheLimits, layout, nodeName, log, metrics } = parts
  const fieldSelector = `spec.nodeName=${nodeName}`
  const stopping = new AbortController()
  const attempts = createAttempts(systemClock)
  const endings = createEndings()
  const measured = createMetricsOfNode(metrics)
  const cache = createReflector({
    client,
    resource: pods,
    fieldSelector,
    indexes: { uid: ({ metadata }) => [metadata.uid] },
    onChange: ({ type, object }) => {
      if (!isOurs(object)) return
      const { uid } = object.metadata
      if (type === 'deleted' || isEnding(object)) endings.end(uid)
      const accused = accusedImage(layout, object)
      if (accused !== undefined) imageCache.accuse(accused)
      if (type !== 'deleted') return podQueue.add(keyOf(object))
      attempts.forget(uid)
      sweepQueue.add(nodeName)
    },
    log,
    metrics,
  })
  const events = createEventRecorder(client, { component: 'lamina-agent', host: nodeName, log })
  const cacheMetrics = createCacheMetrics(metrics)
  const imageCache = createNodeCache({
    ...{ layout, log, clock: systemClock, limits: cacheLimits, fetch: createFetchApart(stopping.signal) },
    observer: {
      ...cacheMetrics,
      onCollected: (image) => {
        cacheMetrics.onCollected(image)
        log.info(image, 'the image has left the cache')
      },
      onCorrupt: (corruption) => {
        cacheMetrics.onCorrupt(corruption)
        tellCorrupt({ layout, client, events, nodeName, log }, corruption)
      },
    },
  })
  const { images } = imageCache
  const report = createOverlayReporter({ client, events, clock: systemClock })
  const onePerOverlay = createSerializer()
  const usage = createUsage({
    ...{ layout, report, metrics, log, clock: systemClock, events, onePerOverlay },
    worker: workerProgram(),
    askedSize: ({ namespace, instance }) =>
      cache.get({ namespace, name: instance })?.metadata.annotations[annotations.growTo],
  })
  const idle = createIdle({ client, cache, layout, log, metrics, clock: systemClock })
  const node = {
    ...{ client, allowedSources, layout, images, cache, attempts, log, clock: systemClock, events },
    endingOf: endings.signalOf,
    ...measured,
  }
  const askDevices = createDeviceAsker(systemClock, isDeviceMountedApart)
  const reconcile = createPodReconciler({
    ...{ ...node, report, onePerOverlay, prepareOverlay: knowingOwnWrites(prepareApart) },
    ...{ readFigures: createFiguresReader(systemClock), askDevices },
  })
  const prefetch = createPrefetchReconciler(node)
  const pass = (key: string) => {
    const pod = cache.get(parseKey(key))
    return pod && isPrefetch(pod) ? prefetch(key) : reconcile(key)
  }
  const podQueue = createWorkQueue({ name: 'pod', concurrency, process: pass, log, metrics, maxBackoffMs: 15_000 })

  const sweep = async (): Promise<{ requeueAfterMs: number }> => {
    const isKnown = (podUID: string): boolean => cache.by('uid', podUID).length > 0
    const liveUIDs = async () =>
      new Set((await client.list(pods, { fieldSelector })).map(({ metadata }) => metadata.uid))
    const held = await sweepPods(layout, isKnown, liveUIDs, askDevices)
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
      sweepOtherBoot(layout)
      sweepAuthFiles(layout)
      imageCache.tidy()
      const observed = Promise.all([cache.run(signal), usage.run(signal)])
      if (await allSynced([cache], signal)) {
        sweepQueue.add(nodeName)
        await Promise.all([podQueue, sweepQueue, imageCache, idle].map((each) => each.run(signal)))
      }
      await observed
    },
  }
}
