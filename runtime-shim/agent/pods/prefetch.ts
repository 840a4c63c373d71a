import { mkdirSync } from 'node:fs'
import { isAllowed, notAllowed, notAllowedReason, sourceKindOf } from '../../../kube/allowed-sources.ts'
import type { Attempts, Pace } from '../../../kube/attempts.ts'
import type { EventRecorder } from '../../../kube/events.ts'
import { labels, releaseFinalizer } from '../../../kube/names.ts'
import type { Reflector } from '../../../kube/reflector.ts'
import { parseKey } from '../../../kube/resource.ts'
import { containerImages, type Pod, pods } from '../../../kube/resources.ts'
import { podPaths } from '../../node/layout.ts'
import type { ImageCache, WantedImage } from '../cache/images.ts'
import { heldBy, hold, letGo } from '../cache/in-use.ts'
import type { NodeServices } from '../services.ts'
import { Trouble } from '../trouble.ts'
import type { GrantedImage } from './chain.ts'
import { urlOf } from './file-url.ts'
import { ensureImage, type Readying } from './mount-ready.ts'
import { progressOf } from './progress.ts'
import { isEnding } from './release.ts'
import { tellMended, tellTrouble } from './tell.ts'

/**
 * Pods of a ContainerImage's DaemonSet, which only bring the image to their node.
 * They mount nothing, so a forged one reaches no further than the image of its
 * own namespace, which the controller has resolved with that namespace's secrets.
 * They stop at the cache's limits, and hold nothing against instances that need
 * the room.
 */

export interface Prefetcher extends NodeServices {
  images: ImageCache
  /** Pods of this node. */
  cache: Pick<Reflector<Pod>, 'get'>
  events: EventRecorder
  attempts: Attempts
  /** Aborted when the pod begins to end. */
  endingOf(podUID: string): AbortSignal
  onTrouble(reason: string): void
}

interface Result {
  requeueAfterMs?: number
}

export const isPrefetch = ({ metadata }: Pod): boolean =>
  metadata.labels[labels.prefetch] !== undefined && !metadata.finalizers.includes(releaseFinalizer)

/** A registry, a person. */
const mendingPace: Pace = { firstMs: 1_000, longestMs: 60_000 }
/** Room comes when images leave the cache, or a disk is cleared: of a file of unknown size much has come for nothing. */
const roomPace: Pace = { firstMs: 60_000, longestMs: 600_000 }

/** Instances that need the room have the image removed, whatever brought it. */
const lookAgainMs = 600_000

type Wanted = GrantedImage & Pick<WantedImage, 'url' | 'beforehand'>

/** What the pod is to bring, read live: the image may be resolved anew. */
const wantedBy = async ({ client, allowedSources }: Prefetcher, { metadata }: Pod): Promise<Wanted> => {
  const { namespace } = metadata
  const name = metadata.labels[labels.prefetch] ?? ''
  const image = await client.get(containerImages, { namespace, name })
  if (!image) throw new Trouble('ImageGone', `there is no ContainerImage "${name}" in namespace ${namespace}`)
  const { resolved } = image.status
  if (!resolved) throw new Trouble('ImageNotResolved', `ContainerImage "${name}" is not resolved: see its conditions`)
  const { reference, digest } = resolved
  const kind = sourceKindOf(reference)
  if (kind === 'volume')
    throw new Trouble('ImageOnVolume', `ContainerImage "${name}" lies on a volume, and is not fetched`)
  if (kind && !isAllowed(allowedSources, kind, namespace))
    throw new Trouble(`Image${notAllowedReason}`, notAllowed(kind, namespace))
  return { reference, digest, url: urlOf(image, resolved), volume: null, allowExt3: false, beforehand: true }
}

const bring = async (agent: Prefetcher, { pod, progress, signal }: Readying): Promise<void> => {
  const { layout, client, clock, log } = agent
  const { namespace, name, uid } = pod.metadata
  const image = await wantedBy(agent, pod)
  mkdirSync(podPaths(layout, uid).dir, { recursive: true })
  // From now on it is among the last to leave the cache, which it may have entered long ago.
  hold(layout, uid, image.digest)
  const found = await ensureImage(agent, { pod, progress, signal }, image)
  if (!found || signal.aborted) return
  log.info({ kind: 'Pod', namespace, name, digest: image.digest }, 'the image is on the node')
  // A long fetch has told how far it is meanwhile.
  const live = await client.get(pods, pod.metadata)
  if (live?.metadata.uid === uid) await tellMended(client, live, clock.now())
  // Last: afterwards nobody looks at what was told.
  progress.end({ exitCode: 0, message: 'ready' })
}

const meet = async (agent: Prefetcher, { pod, progress }: Readying, trouble: Trouble): Promise<Result> => {
  const { namespace, name, uid } = pod.metadata
  const { reason, message } = trouble
  agent.onTrouble(reason)
  if (await tellTrouble(agent, pod, trouble, agent.clock.now())) {
    agent.log.warn({ kind: 'Pod', namespace, name, reason }, message)
    progress.line(`${reason}: ${message}`)
  }
  const pace = reason === 'ImageNoSpace' ? roomPace : mendingPace
  return { requeueAfterMs: agent.attempts.next(uid, pace).waitMs }
}

/** Whether what the pod is to bring is there. Its ContainerImage may be resolved anew: then it is replaced. */
const isSettled = ({ layout, images }: Prefetcher, { metadata: { uid } }: Pod, isTold: boolean): boolean => {
  const digest = heldBy(layout, uid)
  return isTold && digest !== undefined && images.find(digest) !== undefined
}

/** One pass over a prefetch's pod of this node. */
export const createPrefetchReconciler =
  (agent: Prefetcher) =>
  async (key: string): Promise<Result> => {
    const pod = agent.cache.get(parseKey(key))
    if (!pod) return {}
    const { uid } = pod.metadata
    if (isEnding(pod)) {
      letGo(agent.layout, uid)
      return {}
    }
    const progress = progressOf(pod, podPaths(agent.layout, uid))
    if (isSettled(agent, pod, progress.ended())) return { requeueAfterMs: lookAgainMs }
    const requeueAfterMs = agent.attempts.remainingMs(uid)
    if (requeueAfterMs > 0) return { requeueAfterMs }
    const readying = { pod, progress, signal: agent.endingOf(uid) }
    try {
      await bring(agent, readying)
      agent.attempts.forget(uid)
      return readying.signal.aborted ? {} : { requeueAfterMs: lookAgainMs }
    } catch (error) {
      if (error instanceof Trouble) return meet(agent, readying, error)
      throw error
    }
  }
