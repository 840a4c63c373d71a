import type { Attempts, Pace } from '../../../kube/attempts.ts'
import type { EventRecorder } from '../../../kube/events.ts'
import { releaseFinalizer } from '../../../kube/names.ts'
import type { Reflector } from '../../../kube/reflector.ts'
import { parseKey } from '../../../kube/resource.ts'
import { type Pod, pods } from '../../../kube/resources.ts'
import { currentBootID } from '../../node/boot.ts'
import { podPaths } from '../../node/layout.ts'
import { Trouble } from '../trouble.ts'
import type { AskDevices } from './ask-devices.ts'
import { checkChain, type Granted, notGrantedYet } from './chain.ts'
import { tellDamages } from './damages.ts'
import type { FiguresReader } from './left-figures.ts'
import { ensureImage, isThere, type MountPreparer, prepareOverlays, type Readying } from './mount-ready.ts'
import { observeChain } from './observe.ts'
import { progressOf } from './progress.ts'
import { isEnding, isReleased, releasePod } from './release.ts'
import { isToldTrouble, tellMended, tellTrouble } from './tell.ts'
import { giveTicket, readTicket, refuse, revokeTicket, ticketOf } from './ticket.ts'

export interface Agent extends MountPreparer {
  /** Pods of this node. */
  cache: Pick<Reflector<Pod>, 'get'>
  events: EventRecorder
  /** Of overlays that a pod has left without a word from the runtime. */
  readFigures: FiguresReader
  askDevices: AskDevices
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
const passing = new Set([notGrantedYet, 'PreparePending', 'ImagePullSecretPending', 'MountUnderWay'])
const patience = 6

const passingPace: Pace = { firstMs: 20, longestMs: 10_000 }
/** A registry, a disk, a person. */
const mendingPace: Pace = { firstMs: 1_000, longestMs: 15_000 }
/** A person, and each try has all of a file system checked. */
const damagePace: Pace = { firstMs: 1_000, longestMs: 300_000 }
/** The kubelet tells when the containers are dead; this is for what ends later, or was not told. */
const releasePace: Pace = { firstMs: 20, longestMs: 1_000 }

const paceOf = (reason: string): Pace => {
  if (passing.has(reason)) return passingPace
  return reason === 'OverlayDamaged' ? damagePace : mendingPace
}

const subject = ({ metadata: { namespace, name } }: Pod) => ({ kind: 'Pod', namespace, name })

const grantedTo = async (agent: Agent, pod: Pod): Promise<Granted> => {
  const verdict = checkChain(await observeChain(agent.client, pod), agent.allowedSources)
  if (verdict instanceof Trouble) throw verdict
  return verdict
}

/** The pod and its grant as they are now; undefined when the pod has begun to end. */
const readAgain = async (agent: Agent, pod: Pod): Promise<{ pod: Pod; grant: Granted } | undefined> => {
  const live = await agent.client.get(pods, pod.metadata)
  if (live?.metadata.uid !== pod.metadata.uid || isEnding(live)) return undefined
  return { pod: live, grant: await grantedTo(agent, live) }
}

/** Image and overlays made ready, then leave to mount; where that took long, the chain is read once more. */
const makeReady = async (agent: Agent, readying: Readying): Promise<void> => {
  const { pod, progress, signal } = readying
  const paths = podPaths(agent.layout, pod.metadata.uid)
  const grant = await grantedTo(agent, pod)
  const isQuick = isThere(agent.images, grant.image) && progress.ended()
  const image = await ensureImage(agent, readying, grant.image)
  if (!progress.ended()) await prepareOverlays(agent, readying, grant.overlays)
  const latest = isQuick ? { pod, grant } : await readAgain(agent, pod)
  if (!image || !latest || signal.aborted) return
  const node = { bootID: currentBootID(), imageUser: image.user }
  if (!giveTicket(paths, ticketOf(latest.pod, latest.grant, node)))
    throw new Trouble('MountUnderWay', 'a mount by an earlier ticket is under way')
  agent.onTicket()
  agent.log.info({ ...subject(pod), digest: grant.image.digest }, 'leave to mount given')
  await tellMended(agent.client, latest.pod, agent.clock.now())
  progress.end({ exitCode: 0, message: 'ready' })
}

const meet = async (agent: Agent, { pod, progress }: Readying, trouble: Trouble): Promise<Result> => {
  const { reason, message, final } = trouble
  const { uid } = pod.metadata
  const paths = podPaths(agent.layout, uid)
  const isPassing = passing.has(reason)
  const { count, waitMs } = agent.attempts.next(uid, paceOf(reason))
  refuse(paths, { reason, message, final })
  if (final) revokeTicket(paths)
  if (!isPassing || count >= patience) {
    agent.onTrouble(reason)
    const isNews = await tellTrouble(agent, pod, trouble, agent.clock.now())
    if (isNews) {
      agent.log.warn({ ...subject(pod), reason, final }, message)
      progress.line(`${reason}: ${message}`)
    }
  }
  return final ? {} : { requeueAfterMs: waitMs }
}

const mountReady = async (agent: Agent, pod: Pod): Promise<Result> => {
  const { uid } = pod.metadata
  const progress = progressOf(pod, podPaths(agent.layout, uid))
  const readying: Readying = { pod, progress, signal: agent.endingOf(uid) }
  // The end may have been told while the pod was read.
  const cached = agent.cache.get(pod.metadata)
  if (!cached || isEnding(cached)) return {}
  try {
    await makeReady(agent, readying)
    agent.attempts.forget(uid)
    return {}
  } catch (error) {
    if (error instanceof Trouble) return meet(agent, readying, error)
    throw error
  }
}

/** The kernel gets so long to flush after the time that the containers were given to end. */
const flushMs = 30_000
/** An end without a deletion is told when so many tries have found the overlay mounted: about as long. */
const heldTries = 36
/** A proof reads the records of all pods of the node: who is given an hour to end is not asked each second. */
const heldForLongMs = 5_000

const isLate = ({ metadata: { deletionTimestamp } }: Pod, tries: number, now: Date): boolean =>
  deletionTimestamp === undefined ? tries > heldTries : now.getTime() - Date.parse(deletionTimestamp) > flushMs

const release = async (agent: Agent, pod: Pod): Promise<Result> => {
  const { uid } = pod.metadata
  const outcome = await releasePod(agent, pod)
  if (outcome.kind === 'released') {
    agent.onRelease()
    agent.log.info(subject(pod), 'nothing is mounted: the pod may go')
  }
  if (outcome.kind === 'released' || outcome.kind === 'over') {
    agent.attempts.forget(uid)
    return {}
  }
  const { count, waitMs } = agent.attempts.next(uid, releasePace)
  const now = agent.clock.now()
  if (outcome.kind === 'held' && isLate(pod, count, now)) {
    const isNews = await tellTrouble(agent, pod, outcome.by, now)
    if (isNews) agent.log.warn({ ...subject(pod), reason: outcome.by.reason }, outcome.by.message)
  }
  return { requeueAfterMs: count > heldTries ? heldForLongMs : waitMs }
}

/** Whether the pod's main container could start now; the cache may have lost the image since (its disk was replaced). */
const canMount = ({ layout, images }: Agent, { metadata: { uid } }: Pod): boolean => {
  const ticket = readTicket(podPaths(layout, uid), uid)
  return ticket !== undefined && isThere(images, ticket.image)
}

/** Whether there is nothing left to do for the pod as it is. */
const isSettled = (agent: Agent, pod: Pod): boolean => {
  if (isEnding(pod)) return isReleased(agent, pod)
  const { uid, finalizers } = pod.metadata
  return (
    finalizers.includes(releaseFinalizer) &&
    !isToldTrouble(pod) &&
    canMount(agent, pod) &&
    progressOf(pod, podPaths(agent.layout, uid)).ended()
  )
}

/** One pass over a pod of this node: a ticket for a live one, the release of one that ends. */
export const createPodReconciler =
  (agent: Agent) =>
  async (key: string): Promise<Result> => {
    const cached = agent.cache.get(parseKey(key))
    if (!cached) return {}
    if (!isEnding(cached)) await tellDamages(agent, cached)
    if (isSettled(agent, cached)) return {}
    // An end is never taken back: the copy is as good as what is read live.
    if (isEnding(cached)) return release(agent, cached)
    const remainingMs = agent.attempts.remainingMs(cached.metadata.uid)
    if (remainingMs > 0) return { requeueAfterMs: remainingMs }
    const pod = await agent.client.get(pods, parseKey(key))
    if (pod?.metadata.uid !== cached.metadata.uid || isSettled(agent, pod)) return {}
    return isEnding(pod) ? release(agent, pod) : mountReady(agent, pod)
  }
