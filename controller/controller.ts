import { createAttempts } from '../kube/attempts.ts'
import type { KubeClient } from '../kube/client.ts'
import { systemClock } from '../kube/clock.ts'
import { createEventRecorder } from '../kube/events.ts'
import type { Logger } from '../kube/log.ts'
import type { Metrics } from '../kube/metrics.ts'
import { labels } from '../kube/names.ts'
import { allSynced, createReflector } from '../kube/reflector.ts'
import { keyOf } from '../kube/resource.ts'
import {
  claims,
  containerImages,
  daemonSets,
  instances,
  persistentOverlays,
  pods,
  services,
  storageClasses,
} from '../kube/resources.ts'
import { createJointSerializer } from '../kube/serially.ts'
import { createWorkQueue, type WorkQueueOptions } from '../kube/work-queue.ts'
import type { Context } from './context.ts'
import { createImageReconciler } from './images/reconcile.ts'
import { createInstanceReconciler } from './instances/reconcile.ts'
import { createClaimTroubles } from './overlays/claim-troubles.ts'
import { createOverlayReconciler } from './overlays/reconcile.ts'
import { controllerStatus } from './overlays/status.ts'
import { createPodReconciler } from './pods/reconcile.ts'
import type { Settings } from './settings.ts'
import { tellingFailures } from './tell-failure.ts'
import { indexes, type Queues, triggersOf } from './triggers.ts'

export interface Controller {
  /** Keeps the caches: also on those who wait to lead, so that they can begin at once. */
  observe(signal: AbortSignal): Promise<void>
  /** Reconciles: on the leader alone. */
  lead(signal: AbortSignal): Promise<void>
  /** Kinds whose first list is not in yet. */
  unsynced(): string[]
}

interface Parts {
  client: KubeClient
  settings: Settings
  log: Logger
  metrics: Metrics
}

const createCaches = ({ client, log, metrics }: Parts, triggers: ReturnType<typeof triggersOf>): Context['caches'] => {
  const shared = { client, log, metrics }
  return {
    images: createReflector({
      ...shared,
      resource: containerImages,
      onChange: ({ object, old }) => triggers.image(object, old),
    }),
    overlays: createReflector({
      ...shared,
      resource: persistentOverlays,
      indexes: indexes.overlays,
      onChange: (change, origin) => triggers.overlay(change, origin),
    }),
    instances: createReflector({
      ...shared,
      resource: instances,
      indexes: indexes.instances,
      onChange: (change, origin) => triggers.instance(change, origin),
    }),
    pods: createReflector({
      ...shared,
      resource: pods,
      labelSelector: labels.instance,
      indexes: indexes.pods,
      onChange: (change, origin) => triggers.pod(change, origin),
    }),
    claims: createReflector({
      ...shared,
      resource: claims,
      labelSelector: labels.overlay,
      onChange: (change, origin) => triggers.claim(change, origin),
    }),
    daemonSets: createReflector({
      ...shared,
      resource: daemonSets,
      labelSelector: labels.prefetch,
      onChange: ({ object }) => triggers.prefetch(object),
    }),
    prefetchPods: createReflector({
      ...shared,
      resource: pods,
      name: 'prefetch-pods',
      labelSelector: labels.prefetch,
      indexes: indexes.prefetchPods,
      onChange: ({ object }) => triggers.prefetch(object),
    }),
    services: createReflector({
      ...shared,
      resource: services,
      labelSelector: labels.instance,
      onChange: ({ object }) => triggers.service(object),
    }),
    storageClasses: createReflector({ ...shared, resource: storageClasses }),
  }
}

const createQueues = (context: Context, { log, metrics }: Parts): Queues => {
  const queue = (name: string, concurrency: number, process: WorkQueueOptions['process']) =>
    createWorkQueue({ name, concurrency, process, log, metrics, maxBackoffMs: 60_000 })
  const { caches, clock } = context
  const reconcileImage = tellingFailures(
    context,
    { resource: containerImages, cache: caches.images, statusOf: ({ status }) => status },
    createImageReconciler(context),
  )
  const reconcileOverlay = tellingFailures(
    context,
    { resource: persistentOverlays, cache: caches.overlays, statusOf: ({ status }) => controllerStatus(status) },
    createOverlayReconciler(context),
  )
  const reconcileInstance = tellingFailures(
    context,
    { resource: instances, cache: caches.instances, statusOf: ({ status }) => status },
    createInstanceReconciler(context, createAttempts(clock)),
  )
  return {
    images: queue('containerimage', 4, reconcileImage),
    overlays: queue('persistentoverlay', 8, reconcileOverlay),
    instances: queue('instance', 8, reconcileInstance),
    pods: queue('pod', 4, createPodReconciler(context)),
  }
}

export const createController = (parts: Parts): Controller => {
  const { client, settings, log } = parts
  // Only a leader has queues: on a replica that waits, nobody would empty them.
  let queues: Queues | undefined
  const caches = createCaches(
    parts,
    triggersOf(() => ({ caches, queues, now: systemClock.now() })),
  )
  const context: Context = {
    client,
    caches,
    events: createEventRecorder(client, { component: 'lamina-controller', host: settings.identity, log }),
    clock: systemClock,
    settings,
    claimTroubles: createClaimTroubles({ client, clock: systemClock }),
    serially: createJointSerializer(),
  }
  const all = Object.entries(caches)
  return {
    observe: async (signal) => {
      await Promise.all(all.map(([, cache]) => cache.run(signal)))
    },
    lead: async (signal) => {
      if (!(await allSynced(Object.values(caches), signal))) return
      queues = createQueues(context, parts)
      for (const image of caches.images.list()) queues.images.add(keyOf(image))
      for (const overlay of caches.overlays.list()) queues.overlays.add(keyOf(overlay))
      for (const instance of caches.instances.list()) queues.instances.add(keyOf(instance))
      for (const pod of caches.pods.list()) if (pod.metadata.deletionTimestamp) queues.pods.add(keyOf(pod))
      await Promise.all(Object.values(queues).map((queue) => queue.run(signal)))
    },
    unsynced: () => all.flatMap(([name, cache]) => (cache.lastSync() === 0 ? [name] : [])),
  }
}
