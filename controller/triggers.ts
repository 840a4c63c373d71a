import { isDeepStrictEqual } from 'node:util'
import type { ContainerImage } from '../crds/container-image.ts'
import type { Instance } from '../crds/instance.ts'
import type { PersistentOverlay } from '../crds/persistent-overlay.ts'
import type { Change } from '../kube/cache.ts'
import { annotations, labels } from '../kube/names.ts'
import type { Origin } from '../kube/reflector.ts'
import { formatKey, type KubeObject, keyOf } from '../kube/resource.ts'
import type { DaemonSet, PersistentVolumeClaim, Pod, Service } from '../kube/resources.ts'
import type { WorkQueue } from '../kube/work-queue.ts'
import { conditionOf, isUntold } from './conditions.ts'
import type { Context } from './context.ts'
import { isAtRest } from './instances/lifecycle/at-rest.ts'
import { isStarting, manyStart, startingIndex } from './instances/starting.ts'
import { awaitsOverlay, isWaiting } from './instances/waiting.ts'
import { claimKeyOf } from './overlays/claim.ts'
import { isUnreleased } from './overlays/holders.ts'

export type Queues = Record<'images' | 'overlays' | 'instances' | 'pods', WorkQueue>

interface Current {
  caches: { [Kind in 'instances' | 'overlays']: Pick<Context['caches'][Kind], 'by'> }
  queues: Record<keyof Queues, Pick<WorkQueue, 'add' | 'addUrgent' | 'addAfter'>> | undefined
  now: Date
}

const prefetchedImage = ({ metadata: { namespace, labels: labelled } }: KubeObject): string[] => {
  const name = labelled[labels.prefetch]
  return name === undefined ? [] : [formatKey({ namespace, name })]
}

/** The indexes that {@link triggersOf} and the reconcilers look things up by. */
export const indexes = {
  overlays: {
    claim: (overlay: PersistentOverlay): string[] => [claimKeyOf(overlay)],
    holder: ({ metadata: { namespace }, status }: PersistentOverlay): string[] =>
      (status.attachments ?? []).map(({ instanceName }) => formatKey({ namespace, name: instanceName })),
  },
  pods: {
    claim: ({ metadata: { namespace }, spec }: Pod): string[] =>
      (spec?.volumes ?? []).flatMap(({ persistentVolumeClaim: claim }) =>
        claim ? [formatKey({ namespace, name: claim.claimName })] : [],
      ),
  },
  prefetchPods: { image: prefetchedImage },
  instances: {
    image: ({ metadata: { namespace }, spec }: Instance): string[] => [
      formatKey({ namespace, name: spec.imageRef.name }),
    ],
    overlay: ({ metadata: { namespace }, spec }: Instance): string[] =>
      spec.overlays.map(({ name }) => formatKey({ namespace, name })),
    starting: startingIndex,
  },
} as const

/** A prefetch moves on with every node, and is no news to instances. */
const tellsInstances = (old: ContainerImage, image: ContainerImage): boolean => {
  const concerns = ({ status }: ContainerImage) => [
    // It follows every change of the spec.
    status.observedGeneration,
    status.resolved,
    conditionOf(status.conditions, 'Ready'),
  ]
  return !isDeepStrictEqual(concerns(old), concerns(image))
}

/** What an instance's pass reads of an overlay, but for who has it. Figures move on while it is in use. */
const ofInterest = ({ metadata, spec, status }: PersistentOverlay) => {
  const ready = conditionOf(status.conditions, 'Ready')
  return [
    [metadata.uid, metadata.deletionTimestamp, spec],
    [status.claim, status.base, status.usage === undefined],
    ready?.status === 'True' || ready,
    ...['Stalled', 'Healthy'].map((type) => conditionOf(status.conditions, type)),
  ]
}

/** What an overlay's pass reads of its claim. On its way to a volume a claim changes five times, which is told once. */
const ofClaim = ({ metadata, spec, status }: PersistentVolumeClaim) => [
  [metadata.uid, metadata.deletionTimestamp, metadata.labels, metadata.ownerReferences],
  [metadata.annotations[annotations.base], spec?.resources?.requests],
  [status?.phase, status?.capacity],
]

const attachedTo = ({ status }: PersistentOverlay): string[] =>
  (status.attachments ?? []).map(({ instanceUID }) => instanceUID)

/** An instance that comes with its overlay does all for both. */
const newOverlayMs = 200
/** Who has taken an overlay has seen to all but what comes of it later. */
const takenOverlayMs = 3_000

/** Whether an instance's attachments may end with what has changed of it. */
const mayLetGo = ({ type, object, old }: Change<Instance>): boolean =>
  type !== 'updated' ||
  object.metadata.deletionTimestamp !== undefined ||
  object.metadata.generation !== old.metadata.generation ||
  object.status.pod?.uid !== old.status.pod?.uid ||
  isAtRest(object)

/**
 * Whose turn it is when an object has changed; nobody's while there are no
 * queues. What an instance's pass has written itself, its status and its pod,
 * calls for no other: it knows.
 */
export const triggersOf = (current: () => Current) => {
  const add = (queue: keyof Queues, key: string): void => current().queues?.[queue].add(key)
  const addAfter = (queue: keyof Queues, key: string, ms: number): void => current().queues?.[queue].addAfter(key, ms)
  const addInstances = (index: 'image' | 'overlay', key: string, but: readonly string[] = []): void => {
    for (const instance of current().caches.instances.by(index, key)) {
      if (!but.includes(instance.metadata.uid)) add('instances', keyOf(instance))
    }
  }
  /** Attachments may end with an instance or its pod. */
  const addOverlaysHeldBy = (instance: string): void => {
    for (const overlay of current().caches.overlays.by('holder', instance)) add('overlays', keyOf(overlay))
  }
  const addWaitingFor = (overlay: string): void => {
    for (const instance of current().caches.instances.by('overlay', overlay)) {
      if (awaitsOverlay(instance)) add('instances', keyOf(instance))
    }
  }
  const isBurst = (): boolean => manyStart(current().caches, current().now)
  /** Who queued behind an instance that no longer waits, and so got no word from the overlay. */
  const addWaitingBehind = ({ metadata: { namespace }, spec }: Instance): void => {
    for (const { name } of spec.overlays) addWaitingFor(formatKey({ namespace, name }))
  }
  /** Those that an instance's first pass has left to their own. */
  const addUnclaimed = (instance: Instance): void => {
    const held = new Set(current().caches.overlays.by('holder', keyOf(instance)).map(keyOf))
    const wanted = instance.spec.overlays.map(({ name }) => formatKey({ ...instance.metadata, name }))
    for (const key of wanted) if (!held.has(key)) add('overlays', key)
  }
  return {
    image: (image: ContainerImage, old: ContainerImage | undefined): void => {
      add('images', keyOf(image))
      if (!old || tellsInstances(old, image)) addInstances('image', keyOf(image))
    },
    overlay: ({ type, object: overlay, old }: Change<PersistentOverlay>, origin: Origin): void => {
      const key = keyOf(overlay)
      const taken = origin === 'note' && old ? attachedTo(overlay).filter((uid) => !attachedTo(old).includes(uid)) : []
      if (type === 'added' && isUntold(overlay)) addAfter('overlays', key, newOverlayMs)
      else if (taken.length > 0) addAfter('overlays', key, takenOverlayMs)
      else add('overlays', key)
      // Who has it is news to those who wait for it alone; who takes it knows.
      const isNews = type !== 'updated' || !isDeepStrictEqual(ofInterest(old), ofInterest(overlay))
      if (isNews) addInstances('overlay', key, taken)
      else addWaitingFor(key)
    },
    instance: (change: Change<Instance>, origin: Origin): void => {
      const { type, object: instance, old } = change
      // Whoever has just asked for a pod waits for it; of those who have one, there is news to tell.
      if (type === 'added' && isUntold(instance)) current().queues?.instances.addUrgent(keyOf(instance))
      else if (origin === 'watch') add('instances', keyOf(instance))
      const runs = old !== undefined && isStarting(old) && !isStarting(instance)
      // What waited for its start to be told of them can be now.
      if (mayLetGo(change) || (runs && !isBurst())) addOverlaysHeldBy(keyOf(instance))
      const asksAnew = old !== undefined && old.metadata.generation !== instance.metadata.generation
      const hasSpoken = type === 'deleted' || asksAnew || !isUntold(instance)
      if (isUntold(old ?? instance) && hasSpoken && type !== 'added') addUnclaimed(old ?? instance)
      if (type === 'deleted' || asksAnew || !isWaiting(instance)) addWaitingBehind(old ?? instance)
    },
    pod: ({ type, object: pod }: Change<Pod>, origin: Origin): void => {
      if (origin === 'watch') add('instances', keyOf(pod))
      if (pod.metadata.deletionTimestamp) add('pods', keyOf(pod))
      if (type === 'deleted' || !isUnreleased(pod) || pod.metadata.deletionTimestamp) addOverlaysHeldBy(keyOf(pod))
    },
    /** The DaemonSet of a prefetch, or a pod of it. */
    prefetch: (part: DaemonSet | Pod): void => {
      for (const image of prefetchedImage(part)) add('images', image)
    },
    /** It has its instance's name. */
    service: (service: Service): void => add('instances', keyOf(service)),
    claim: ({ type, object, old }: Change<PersistentVolumeClaim>, origin: Origin): void => {
      if (origin === 'note') return
      if (type === 'updated' && isDeepStrictEqual(ofClaim(old), ofClaim(object))) return
      const { namespace, labels: labelled } = object.metadata
      const name = labelled[labels.overlay]
      if (name !== undefined) add('overlays', formatKey({ namespace, name }))
    },
  }
}
