import { unlessAborted } from '../../../kube/clock.ts'
import type { EventRecorder } from '../../../kube/events.ts'
import type { Reflector } from '../../../kube/reflector.ts'
import { parseKey } from '../../../kube/resource.ts'
import { type Pod, pods } from '../../../kube/resources.ts'
import { currentBootID } from '../../node/boot.ts'
import { podPaths } from '../../node/layout.ts'
import { Trouble } from '../trouble.ts'
import { type Attempts, retryAfterMs } from './attempts.ts'
import { checkChain, type Granted, notGrantedYet } from './chain.ts'
import { ensureImage, type MountPreparer, prepareOverlays } from './mount-ready.ts'
import { observeChain } from './observe.ts'
import { hasPrepare, type Progress, progressOf } from './progress.ts'
import { isEnding, isReleased, releasePod } from './release.ts'
import { tellMended, tellTrouble } from './tell.ts'
import { giveTicket, readTicket, refuse, ticketOf } from './ticket.ts'

export interface Agent extends MountPreparer {
  /** Pods of this node with our RuntimeClass, and others: `isOurs` tells. */
  cache: Reflector<Pod>
  events: EventRecorder
  attempts: Attempts
  /** Aborted when the pod begins to end. */
  endingOf(podUID: string): AbortSignal
  onTicket(): void
  onRelease(): void
  onTrouble(reason: string): void
}

interface Result {
  requeueAfterMs?: number
}

/** Troubles that mend themselves within moments: told only when they do not. */
const passing = new Set([notGrantedYet, 'PreparePending', 'ImagePullSecretPending'])
const patience = 6

const granted = async (agent: Agent, pod: Pod): Promise<Granted> => {
  const verdict = checkChain(await observeChain(agent.client, pod))
  if (verdict instanceof Trouble) throw verdict
  return verdict
}

/** Image and overlays made ready, then the chain once more: that may have taken long. */
const makeReady = async (agent: Agent, pod: Pod, progress: Progress): Promise<void> => {
  const { layout } = agent
  const paths = podPaths(layout, pod.metadata.uid)
  const signal = agent.endingOf(pod.metadata.uid)
  const first = await granted(agent, pod)
  const image = await unlessAborted(ensureImage(agent, pod, first.image, progress, signal), signal)
  if (!image) return
  if (hasPrepare(pod) && !progress.ended()) await prepareOverlays(agent, pod, first.overlays, progress, signal)
  const live = await agent.client.get(pods, pod.metadata)
  if (live?.metadata.uid !== pod.metadata.uid || isEnding(live)) return
  const grant = await granted(agent, live)
  const node = { bootID: currentBootID(), squashfs: image.squashfs, imageUser: image.user }
  giveTicket(paths, ticketOf(live, grant, node))
  agent.onTicket()
  progress.end({ exitCode: 0, message: 'ready' })
  await tellMended(agent.client, live, agent.clock.now())
}

const meet = async (agent: Agent, pod: Pod, trouble: Trouble): Promise<Result> => {
  const { reason, message, final } = trouble
  const { uid } = pod.metadata
  const paths = podPaths(agent.layout, uid)
  const attempt = agent.attempts.next(uid)
  agent.onTrouble(reason)
  refuse(paths, { reason, message, final })
  if (!passing.has(reason) || attempt >= patience) {
    progressOf(pod, paths).line(`${reason}: ${message}`)
    await tellTrouble(agent, pod, trouble, agent.clock.now())
  }
  return final ? {} : { requeueAfterMs: retryAfterMs(attempt) }
}

/** After the time that its containers were given to end, the kernel gets so long to flush. */
const flushMs = 30_000
/** The kubelet tells when the containers are dead; this is for what ends later, or was not told. */
const longestPollMs = 1_000

const release = async (agent: Agent, pod: Pod): Promise<Result> => {
  const { uid, deletionTimestamp } = pod.metadata
  const outcome = await releasePod(agent, pod)
  if (outcome.kind === 'held') {
    const now = agent.clock.now()
    if (deletionTimestamp !== undefined && now.getTime() - Date.parse(deletionTimestamp) > flushMs) {
      await tellTrouble(agent, pod, outcome.by, now)
    }
    return { requeueAfterMs: retryAfterMs(agent.attempts.next(uid), longestPollMs) }
  }
  agent.attempts.forget(uid)
  agent.onRelease()
  return {}
}

const isSettled = ({ layout }: Agent, pod: Pod): boolean => {
  const paths = podPaths(layout, pod.metadata.uid)
  if (isEnding(pod)) return isReleased(layout, pod)
  return readTicket(paths)?.bootID === currentBootID() && progressOf(pod, paths).ended()
}

/** One pass over a pod of this node: a ticket for a live one, the release of one that ends. */
export const createPodReconciler =
  (agent: Agent) =>
  async (key: string): Promise<Result> => {
    const cached = agent.cache.get(parseKey(key))
    if (!cached || isSettled(agent, cached)) return {}
    const pod = await agent.client.get(pods, parseKey(key))
    if (pod?.metadata.uid !== cached.metadata.uid) return {}
    if (isEnding(pod)) return release(agent, pod)
    try {
      await makeReady(agent, pod, progressOf(pod, podPaths(agent.layout, pod.metadata.uid)))
      agent.attempts.forget(pod.metadata.uid)
      return {}
    } catch (error) {
      if (error instanceof Trouble) return meet(agent, pod, error)
      throw error
    }
  }
