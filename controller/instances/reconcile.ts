import type { Instance } from '../../crds/instance.ts'
import type { Attempts } from '../../kube/attempts.ts'
import { annotations, apiVersion, releaseFinalizer } from '../../kube/names.ts'
import { instanceOwnerOf } from '../../kube/owner.ts'
import { parseKey } from '../../kube/resource.ts'
import { instances, nodes, type Pod, pods } from '../../kube/resources.ts'
import { announce } from '../announce.ts'
import { conditionOf } from '../conditions.ts'
import type { Context, Result } from '../context.ts'
import { keptBecause, releaseWithinMs } from '../pods/lost.ts'
import { writeStatus } from '../write-status.ts'
import { checkNeededBy } from './check-needed.ts'
import { withdrawClaims } from './claim.ts'
import { deletedOverlayOf, remadeOverlayOf } from './deleted-overlay.ts'
import { hasCompleted, isIdleStopped } from './lifecycle/at-rest.ts'
import { decide } from './lifecycle/decide.ts'
import { reportWanted } from './lifecycle/idle.ts'
import { type NextPod, nextPod } from './lifecycle/next-pod.ts'
import type { Decision, Rest } from './lifecycle/policy.ts'
import { isStartRequested } from './lifecycle/start-request.ts'
import { replacedBecause } from './lifecycle/update.ts'
import { isOwnedBy, isTerminal, startFailure, type Trouble } from './pod-state.ts'
import { ensureService, lookAgainMs } from './service/ensure.ts'
import { waitsForMore } from './soon.ts'
import {
  claimAll,
  createPod,
  gather,
  grantTo,
  hashOf,
  isAsSpecified,
  PodRefusedError,
  partsOf,
  wouldWaitFor,
} from './start.ts'
import {
  type Drift,
  type Finding,
  type Grant,
  podInvalid,
  podRefused,
  statusAfter,
  waitingForPreviousPod,
} from './status.ts'
import { templateProblem } from './template-rules.ts'

interface Outcome extends Result {
  finding: Finding
  grant?: Grant | undefined
}

/** Nothing tells when a pod of another's goes. */
const strangerLookAgainMs = 5_000
/** When a pod that was refused is tried again. */
const refusalPace = { firstMs: 2_000, longestMs: 60_000 }

const liveOf = (context: Context, { metadata }: Instance): Promise<Pod | undefined> =>
  context.client.get(pods, metadata)

const remove = ({ client }: Context, { metadata }: Pod): Promise<boolean> =>
  client.delete(pods, metadata, { uid: metadata.uid })

/** Of two that had the name one after the other, the cache may still have the first. */
const isLatest = async ({ client }: Context, { metadata }: Instance): Promise<boolean> =>
  (await client.get(instances, metadata))?.metadata.uid === metadata.uid

/** Whose pod it is that has our name: one of an earlier instance of this name is let go, any other left alone. */
const ofStranger = async (context: Context, instance: Instance, pod: Pod): Promise<Outcome> => {
  const { name, deletionTimestamp, finalizers } = pod.metadata
  const isOfEarlier = instanceOwnerOf(pod)?.name === name
  if (isOfEarlier && !deletionTimestamp && (await isLatest(context, instance))) await remove(context, pod)
  if (isOfEarlier || deletionTimestamp || finalizers.includes(releaseFinalizer)) {
    const message = `pod ${name} of an earlier instance of this name has not ended yet`
    return { finding: { kind: 'previousPod', message }, requeueAfterMs: strangerLookAgainMs }
  }
  const message = `a pod ${name} that is not Lamina's has the instance's name: delete it, or give the instance another name`
  return { finding: { kind: 'nameTaken', message }, requeueAfterMs: strangerLookAgainMs }
}

const isTold = ({ status }: Instance, { reason }: Rest): boolean =>
  conditionOf(status.conditions, 'Running')?.reason === reason

/** Nothing is said to be stopped of which the API server still has a pod: the cache may lack it. */
const stop = async (context: Context, instance: Instance, cached: Pod | undefined, rest: Rest): Promise<Outcome> => {
  const pod = cached ?? (isTold(instance, rest) ? undefined : await liveOf(context, instance))
  if (!pod || !isOwnedBy(pod, instance)) return { finding: { kind: 'stopped', rest } }
  // What its pod alone tells is written before the pod goes, which the next pass sees to.
  const isWritten = rest.idleStop === undefined || isIdleStopped(instance)
  if (!isWritten) return { finding: { kind: 'stopping', pod, rest }, requeueAfterMs: 0 }
  if (!pod.metadata.deletionTimestamp) await remove(context, pod)
  return { finding: { kind: 'stopping', pod, rest } }
}

const keptGrant = ({ status }: Instance, pod: Pod): Grant => {
  const { nodeName } = pod.spec ?? {}
  return {
    ...(status.pod ? { pod: { ...status.pod, ...(nodeName ? { nodeName } : {}) } } : {}),
    ...(status.image ? { image: status.image } : {}),
    ...(status.overlays ? { overlays: status.overlays } : {}),
  }
}

const problemOf = ({ caches }: Context, { metadata: { namespace }, spec }: Instance): string | undefined =>
  templateProblem(
    spec,
    spec.overlays.flatMap(({ name }) => caches.overlays.get({ namespace, name }) ?? []),
  )

/** @param hash of what the pod was made from */
const driftOf = (context: Context, instance: Instance, hash: string | undefined): Drift => {
  const problem = problemOf(context, instance)
  if (problem !== undefined) return { kind: 'invalid', message: problem }
  const ingredients = gather(context, instance)
  if (ingredients.kind === 'missing') return { kind: 'none' }
  const { imageTrouble: trouble, chosen } = ingredients
  const { drifted, base, leaves } = chosen
  if (!isAsSpecified(hash, partsOf(context, instance, ingredients))) return { kind: 'spec', leaves }
  if (trouble) return { kind: 'image', from: base.reference, trouble }
  if (drifted) return { kind: 'base', from: base.reference, to: drifted.reference, obstacle: drifted.obstacle }
  return { kind: 'none' }
}

/** The overlays stay claimed: another pod follows as soon as this one has ended. */
const replace = async (context: Context, instance: Instance, pod: Pod, why: string): Promise<Outcome> => {
  await remove(context, pod)
  const message = `pod ${pod.metadata.name} is being replaced: ${why}`
  return { finding: { kind: 'previousPod', message, pod }, grant: keptGrant(instance, pod) }
}

/** A pod whose grant was never written: a leader made it and stopped before that. */
const grantLate = async (context: Context, instance: Instance, pod: Pod): Promise<Outcome> => {
  const prepared = await claimAll(context, instance)
  if (prepared.kind === 'claimed' && isAsSpecified(hashOf(pod), prepared.parts)) {
    return {
      finding: { kind: 'pod', pod, drift: { kind: 'none' } },
      grant: await grantTo(context, pod, prepared.parts),
    }
  }
  return replace(context, instance, pod, 'it was made of another spec')
}

/** How it ended is more than that it goes now: for good, or by a start that failed and is tried again. */
const staysTold = (instance: Instance, pod: Pod, isLate: boolean): boolean => {
  if (!isTerminal(pod)) return false
  if (hasCompleted(instance)) return true
  const told = conditionOf(instance.status.conditions, 'Running')
  return !isLate && startFailure(pod) !== undefined && told?.reason !== waitingForPreviousPod
}

const ending = async (context: Context, instance: Instance, pod: Pod): Promise<Outcome> => {
  const { name, deletionTimestamp = '' } = pod.metadata
  const late = context.clock.now().getTime() - Date.parse(deletionTimestamp)
  const { nodeName } = pod.spec ?? {}
  const isLate = late >= releaseWithinMs
  const node = isLate && nodeName ? await context.client.get(nodes, { namespace: '', name: nodeName }) : undefined
  const message = isLate
    ? `pod ${name} should have ended at ${deletionTimestamp}: ${keptBecause(pod, node)}`
    : `pod ${name} is ending`
  const endOfPod: { drift: Drift; next?: NextPod } = hasCompleted(instance)
    ? { drift: driftOf(context, instance, hashOf(pod)), next: { kind: 'none' } }
    : { drift: { kind: 'none' } }
  const finding: Finding = staysTold(instance, pod, isLate)
    ? { kind: 'pod', pod, ...endOfPod }
    : { kind: 'previousPod', message, pod }
  return {
    finding,
    grant: keptGrant(instance, pod),
    requeueAfterMs: isLate ? releaseWithinMs : releaseWithinMs - late,
  }
}

const ended = async (context: Context, instance: Instance, pod: Pod): Promise<Outcome> => {
  if (isStartRequested(instance)) return replace(context, instance, pod, 'a start has been asked for')
  const now = context.clock.now()
  const next = nextPod(instance, pod, now)
  const drift = driftOf(context, instance, hashOf(pod))
  const grant = keptGrant(instance, pod)
  if (next.kind !== 'due') return { finding: { kind: 'pod', pod, drift, next }, grant }
  if (drift.kind === 'spec') {
    return replace(context, instance, pod, 'it has ended, and the spec or its image has changed')
  }
  const outcome: Outcome = { finding: { kind: 'pod', pod, drift: { kind: 'none' }, next }, grant }
  const waitMs = Date.parse(next.backoff.retryTime) - now.getTime()
  if (waitMs > 0) return { ...outcome, requeueAfterMs: waitMs }
  await remove(context, pod)
  return outcome
}

/** A pod that differs from what the spec asks now, and is not to be replaced by that yet. */
const drifted = async (
  context: Context,
  instance: Instance,
  pod: Pod,
  drift: Extract<Drift, { kind: 'spec' }>,
): Promise<Outcome> => {
  const grant = keptGrant(instance, pod)
  const why = replacedBecause(instance, pod)
  if (why === undefined) return { finding: { kind: 'pod', pod, drift }, grant }
  const obstacle = wouldWaitFor(context, instance)
  if (obstacle === undefined) return replace(context, instance, pod, why)
  const waits = `the spec or its image has changed since the pod was made, and another pod would wait: ${obstacle}`
  return { finding: { kind: 'pod', pod, drift: { ...drift, waits } }, grant }
}

/** The overlay whose volume cannot be made: the scheduler only says that the claim is unbound. */
const unprovisionedOf = ({ caches }: Context, { metadata: { namespace }, spec }: Instance): Trouble | undefined => {
  for (const { name } of spec.overlays) {
    const ready = conditionOf(caches.overlays.get({ namespace, name })?.status.conditions, 'Ready')
    if (ready?.reason === 'ProvisioningFailed') {
      return { reason: 'OverlayNotProvisioned', message: `overlay "${name}": ${ready.message}` }
    }
  }
  return undefined
}

/** By an annotation, for agents read no Instances but at a start. */
const askWhetherIdle = async ({ client, caches, clock }: Context, instance: Instance, pod: Pod): Promise<void> => {
  const wanted = reportWanted(instance, pod, clock.now())
  if (wanted === pod.metadata.annotations[annotations.reportIdle]) return
  const { uid } = pod.metadata
  const patch = { metadata: { uid, annotations: { [annotations.reportIdle]: wanted ?? null } } }
  const patched = await client.mergePatch(pods, pod.metadata, patch)
  if (patched) caches.pods.note(patched)
}

const tend = async (context: Context, instance: Instance, pod: Pod): Promise<Outcome> => {
  if (pod.metadata.deletionTimestamp) return ending(context, instance, pod)
  if (isTerminal(pod)) return ended(context, instance, pod)
  if (instance.status.pod?.uid !== pod.metadata.uid) return grantLate(context, instance, pod)
  const remade = remadeOverlayOf(context, instance, pod)
  if (remade !== undefined) {
    return replace(context, instance, pod, `overlay "${remade}" has been made anew, and this pod may not mount that`)
  }
  const check = checkNeededBy(instance, pod, (name) =>
    context.caches.overlays.get({ namespace: pod.metadata.namespace, name }),
  )
  if (check !== undefined) return replace(context, instance, pod, `its overlay is to be checked: ${check}`)
  await askWhetherIdle(context, instance, pod)
  const drift = driftOf(context, instance, hashOf(pod))
  if (drift.kind === 'spec') return drifted(context, instance, pod, drift)
  return {
    finding: {
      kind: 'pod',
      pod,
      drift,
      unprovisioned: unprovisionedOf(context, instance),
      deleted: deletedOverlayOf(context, instance, pod),
    },
    grant: keptGrant(instance, pod),
  }
}

/** What the last pass said of the pod that it could not make. */
const lastRefusal = ({ status }: Instance): Finding | undefined => {
  const { reason, message = '' } = conditionOf(status.conditions, 'Ready') ?? {}
  const isRefusal = reason === podRefused || reason === podInvalid
  return isRefusal ? { kind: 'podRefused', message, isInvalid: reason === podInvalid } : undefined
}

const isToldNameTaken = ({ status }: Instance): boolean =>
  conditionOf(status.conditions, 'Ready')?.reason === 'PodNameTaken'

const tryToBegin = async (context: Context, instance: Instance, attempts: Attempts): Promise<Outcome> => {
  const problem = problemOf(context, instance)
  if (problem !== undefined) return { finding: { kind: 'invalid', message: problem } }
  const { uid, generation } = instance.metadata
  const tries = `${uid}/${generation}`
  const remaining = attempts.remainingMs(tries)
  const refusal = remaining > 0 ? lastRefusal(instance) : undefined
  if (refusal) return { finding: refusal, requeueAfterMs: remaining }
  if (isToldNameTaken(instance)) {
    const pod = await liveOf(context, instance)
    if (pod && !isOwnedBy(pod, instance)) return ofStranger(context, instance, pod)
  }
  const prepared = await claimAll(context, instance)
  if (prepared.kind === 'blocked') return { finding: prepared.finding }
  try {
    const pod = await createPod(context, prepared.parts)
    attempts.forget(tries)
    if (!isOwnedBy(pod, instance)) return ofStranger(context, instance, pod)
    return {
      finding: { kind: 'pod', pod, drift: { kind: 'none' } },
      grant: await grantTo(context, pod, prepared.parts),
    }
  } catch (error) {
    if (!(error instanceof PodRefusedError)) throw error
    const { waitMs } = attempts.next(tries, refusalPace)
    const { message, isInvalid } = error
    return { finding: { kind: 'podRefused', message, isInvalid }, requeueAfterMs: waitMs }
  }
}

/** All or nothing: without a pod of its own an instance holds no overlay. */
const begin = async (context: Context, instance: Instance, attempts: Attempts): Promise<Outcome> => {
  const outcome = await tryToBegin(context, instance, attempts)
  if (outcome.finding.kind !== 'pod') await withdrawClaims(context, instance)
  return outcome
}

/** What it was made from stays told: an edit since then is seen by it. */
const finished = (context: Context, instance: Instance): Outcome => {
  const { pod } = instance.status
  const drift: Drift = pod ? driftOf(context, instance, pod.templateHash) : { kind: 'none' }
  return { finding: { kind: 'finished', drift }, ...(pod ? { grant: { pod } } : {}) }
}

const advance = async (context: Context, instance: Instance, attempts: Attempts): Promise<Outcome> => {
  const pod = context.caches.pods.get(instance.metadata)
  if (pod && isOwnedBy(pod, instance)) return tend(context, instance, pod)
  if (pod) {
    await withdrawClaims(context, instance)
    return ofStranger(context, instance, pod)
  }
  if (hasCompleted(instance)) return finished(context, instance)
  return begin(context, instance, attempts)
}

/** The Instance goes as it was looked at: what was asked of it since then counts. */
const expire = async ({ client, events }: Context, { metadata }: Instance, message: string): Promise<void> => {
  const { uid, resourceVersion } = metadata
  await client.delete(instances, metadata, { uid, resourceVersion })
  events.event({ apiVersion, kind: 'Instance', metadata }, 'Normal', 'Expired', message)
}

const ownPod = ({ caches }: Context, instance: Instance): Pod | undefined => {
  const pod = caches.pods.get(instance.metadata)
  return pod && isOwnedBy(pod, instance) ? pod : undefined
}

/** When its lifecycle comes to something else by what the pass has written: no event of that calls for another. */
const reviewAfter = (context: Context, instance: Instance, before: Decision): number | undefined => {
  const now = context.clock.now()
  const { decision, reviewAtMs } = decide({ instance, pod: ownPod(context, instance), now })
  if (decision.kind !== before.kind) return 0
  return reviewAtMs === undefined ? undefined : Math.max(reviewAtMs - now.getTime(), 0)
}

/** Of all that call for another pass by their time, the first. */
const soonest = (...afterMs: (number | undefined)[]): Result => {
  const given = afterMs.flatMap((ms) => ms ?? [])
  return given.length > 0 ? { requeueAfterMs: Math.min(...given) } : {}
}

/** One pass over an Instance: its pod as the spec asks, and one status write. */
export const createInstanceReconciler =
  (context: Context, attempts: Attempts) =>
  async (key: string): Promise<Result> => {
    const { caches, client, clock, events } = context
    const instance = caches.instances.get(parseKey(key))
    if (!instance || instance.metadata.deletionTimestamp) return {}
    const now = clock.now()
    const pod = caches.pods.get(instance.metadata)
    const { decision } = decide({ instance, pod: ownPod(context, instance), now })
    if (decision.kind === 'expired') {
      await expire(context, instance, decision.message)
      return {}
    }
    const { requeueAfterMs, ...outcome } =
      decision.kind === 'rest'
        ? await stop(context, instance, pod, decision.rest)
        : await advance(context, instance, attempts)
    const service = await ensureService(context, instance)
    const after = statusAfter(instance, { ...outcome, service }, clock.now())
    const before = instance.status
    const waitMs = waitsForMore(instance, after, caches.pods.get(instance.metadata), clock.now())
    if (waitMs > 0) return { requeueAfterMs: Math.min(waitMs, requeueAfterMs ?? waitMs) }
    caches.instances.note(await writeStatus(client, instances, instance, { before, after }))
    announce(events, { kind: 'Instance', metadata: instance.metadata }, before.conditions, after.conditions)
    return soonest(reviewAfter(context, { ...instance, status: after }, decision), requeueAfterMs, lookAgainMs(service))
  }
