import type { Instance } from '../../crds/instance.ts'
import type { Attempts } from '../../kube/attempts.ts'
import { releaseFinalizer } from '../../kube/names.ts'
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
import { isFinished } from './finished.ts'
import { isOwnedBy, isTerminal, neverRan, startFailure, type Trouble } from './pod-state.ts'
import { waitsForMore } from './soon.ts'
import { claimAll, createPod, gather, grantOf, hashOf, isAsSpecified, PodRefusedError, partsOf } from './start.ts'
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

/** A pod that ended by itself is replaced no sooner after it was made. */
const replaceAfterMs = 10_000
/** Nothing tells when a pod of another's goes. */
const lookAgainMs = 5_000
/** When a pod that was refused is tried again. */
const refusalPace = { firstMs: 2_000, longestMs: 60_000 }

const liveOf = (context: Context, { metadata }: Instance): Promise<Pod | undefined> =>
  context.client.get(pods, metadata)

const remove = ({ client }: Context, { metadata }: Pod): Promise<boolean> =>
  client.delete(pods, metadata, { uid: metadata.uid })

/** Whose pod it is that has our name: one of an earlier instance of this name is let go, any other left alone. */
const ofStranger = async (context: Context, pod: Pod): Promise<Outcome> => {
  const { name, deletionTimestamp, finalizers } = pod.metadata
  const isOfEarlier = instanceOwnerOf(pod)?.name === name
  if (isOfEarlier && !deletionTimestamp) await remove(context, pod)
  if (isOfEarlier || deletionTimestamp || finalizers.includes(releaseFinalizer)) {
    const message = `pod ${name} of an earlier instance of this name has not ended yet`
    return { finding: { kind: 'previousPod', message }, requeueAfterMs: lookAgainMs }
  }
  const message = `a pod ${name} that is not Lamina's has the instance's name: delete it, or give the instance another name`
  return { finding: { kind: 'nameTaken', message }, requeueAfterMs: lookAgainMs }
}

const isToldStopped = ({ status }: Instance): boolean => conditionOf(status.conditions, 'Running')?.reason === 'Stopped'

/** Nothing is said to be stopped of which the API server still has a pod: the cache may lack it. */
const stop = async (context: Context, instance: Instance, cached: Pod | undefined): Promise<Outcome> => {
  const pod = cached ?? (isToldStopped(instance) ? undefined : await liveOf(context, instance))
  if (!pod || !isOwnedBy(pod, instance)) return { finding: { kind: 'stopped' } }
  if (!pod.metadata.deletionTimestamp) await remove(context, pod)
  return { finding: { kind: 'stopping', pod } }
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
  const { drifted, base } = ingredients.chosen
  if (drifted !== undefined) return { kind: 'base', from: base.reference, to: drifted }
  return isAsSpecified(hash, partsOf(context, instance, ingredients)) ? { kind: 'none' } : { kind: 'spec' }
}

/** A pod whose grant was never written: a leader made it and stopped before that. */
const grantLate = async (context: Context, instance: Instance, pod: Pod): Promise<Outcome> => {
  const prepared = await claimAll(context, instance)
  if (prepared.kind === 'claimed' && isAsSpecified(hashOf(pod), prepared.parts)) {
    return { finding: { kind: 'pod', pod, drift: { kind: 'none' } }, grant: grantOf(pod, prepared.parts) }
  }
  await remove(context, pod)
  const message = `pod ${pod.metadata.name} was made of another spec and is being replaced`
  return { finding: { kind: 'previousPod', message, pod } }
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
  const isToldOfStart = conditionOf(instance.status.conditions, 'Running')?.reason !== waitingForPreviousPod
  const staysTold = !isLate && isTerminal(pod) && isToldOfStart && startFailure(pod) !== undefined
  return {
    finding: staysTold ? { kind: 'pod', pod, drift: { kind: 'none' } } : { kind: 'previousPod', message, pod },
    grant: keptGrant(instance, pod),
    requeueAfterMs: isLate ? releaseWithinMs : releaseWithinMs - late,
  }
}

const ended = async (context: Context, instance: Instance, pod: Pod): Promise<Outcome> => {
  const grant = keptGrant(instance, pod)
  if (instance.spec.restartPolicy !== 'Always' && !neverRan(pod)) {
    return { finding: { kind: 'pod', pod, drift: driftOf(context, instance, hashOf(pod)) }, grant }
  }
  const outcome: Outcome = { finding: { kind: 'pod', pod, drift: { kind: 'none' } }, grant }
  const age = context.clock.now().getTime() - Date.parse(pod.metadata.creationTimestamp ?? '')
  if (age < replaceAfterMs) return { ...outcome, requeueAfterMs: replaceAfterMs - age }
  await remove(context, pod)
  return outcome
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

const tend = async (context: Context, instance: Instance, pod: Pod): Promise<Outcome> => {
  if (pod.metadata.deletionTimestamp) return ending(context, instance, pod)
  if (isTerminal(pod)) return ended(context, instance, pod)
  if (instance.status.pod?.uid !== pod.metadata.uid) return grantLate(context, instance, pod)
  const replace = async (why: string): Promise<Outcome> => {
    await remove(context, pod)
    const message = `pod ${pod.metadata.name} is being replaced by one that ${why}`
    return { finding: { kind: 'previousPod', message, pod }, grant: keptGrant(instance, pod) }
  }
  const remade = remadeOverlayOf(context, instance, pod)
  if (remade !== undefined) return replace(`may mount overlay "${remade}" as it was made anew`)
  const check = checkNeededBy(instance, pod, (name) =>
    context.caches.overlays.get({ namespace: pod.metadata.namespace, name }),
  )
  if (check !== undefined) return replace(`has its overlay checked: ${check}`)
  return {
    finding: {
      kind: 'pod',
      pod,
      drift: driftOf(context, instance, hashOf(pod)),
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
    if (pod && !isOwnedBy(pod, instance)) return ofStranger(context, pod)
  }
  const prepared = await claimAll(context, instance)
  if (prepared.kind === 'blocked') return { finding: prepared.finding }
  try {
    const pod = await createPod(context, prepared.parts)
    attempts.forget(tries)
    if (!isOwnedBy(pod, instance)) return ofStranger(context, pod)
    return { finding: { kind: 'pod', pod, drift: { kind: 'none' } }, grant: grantOf(pod, prepared.parts) }
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
  if (instance.spec.state === 'Stopped') return stop(context, instance, pod)
  if (pod && isOwnedBy(pod, instance)) return tend(context, instance, pod)
  if (pod) {
    await withdrawClaims(context, instance)
    return ofStranger(context, pod)
  }
  if (isFinished(instance)) return finished(context, instance)
  return begin(context, instance, attempts)
}

/** One pass over an Instance: its pod as the spec asks, and one status write. */
export const createInstanceReconciler =
  (context: Context, attempts: Attempts) =>
  async (key: string): Promise<Result> => {
    const { caches, client, clock, events } = context
    const instance = caches.instances.get(parseKey(key))
    if (!instance || instance.metadata.deletionTimestamp) return {}
    const { requeueAfterMs, ...outcome } = await advance(context, instance, attempts)
    const after = statusAfter(instance, outcome, clock.now())
    const before = instance.status
    const waitMs = waitsForMore(instance, after, caches.pods.get(instance.metadata), clock.now())
    if (waitMs > 0) return { requeueAfterMs: Math.min(waitMs, requeueAfterMs ?? waitMs) }
    caches.instances.note(await writeStatus(client, instances, instance, { before, after }))
    announce(events, { kind: 'Instance', metadata: instance.metadata }, before.conditions, after.conditions)
    return requeueAfterMs === undefined ? {} : { requeueAfterMs }
  }
