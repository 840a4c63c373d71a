import type { Instance } from '../../crds/instance.ts'
import { annotations } from '../../kube/names.ts'
import { nodes, type Pod, pods } from '../../kube/resources.ts'
import { conditionOf } from '../conditions.ts'
import type { Context } from '../context.ts'
import { keptBecause, releaseWithinMs } from '../pods/lost.ts'
import { checkNeededBy } from './check-needed.ts'
import { dataGoingOf, remadeOverlayOf } from './data-going.ts'
import { driftOf } from './drift.ts'
import { hasCompleted } from './lifecycle/at-rest.ts'
import { reportWanted } from './lifecycle/idle.ts'
import { type NextPod, nextPod } from './lifecycle/next-pod.ts'
import { isStartRequested } from './lifecycle/start-request.ts'
import { replacedBecause } from './lifecycle/update.ts'
import type { Outcome } from './outcome.ts'
import { removePod } from './own-pod.ts'
import { isTerminal, startFailure, type Trouble } from './pod-state.ts'
import { claimAll, grantTo, hashOf, isAsSpecified, wouldWaitFor } from './start.ts'
import { type Drift, type Finding, type Grant, waitingForPreviousPod } from './status.ts'

const keptGrant = ({ status }: Instance, pod: Pod): Grant => {
  const { nodeName } = pod.spec ?? {}
  return {
    ...(status.pod ? { pod: { ...status.pod, ...(nodeName ? { nodeName } : {}) } } : {}),
    ...(status.image ? { image: status.image } : {}),
    ...(status.overlays ? { overlays: status.overlays } : {}),
  }
}

/** The overlays stay claimed: another pod follows as soon as this one has ended. */
const replace = async (context: Context, instance: Instance, pod: Pod, why: string): Promise<Outcome> => {
  await removePod(context, pod)
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
  await removePod(context, pod)
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
  const { uid, resourceVersion } = pod.metadata
  const patch = { metadata: { uid, resourceVersion, annotations: { [annotations.reportIdle]: wanted ?? null } } }
  const patched = await client.mergePatch(pods, pod.metadata, patch)
  if (patched) caches.pods.note(patched)
}

/** An instance that has a pod of its own: it is kept, replaced, or waited for. */
export const tend = async (context: Context, instance: Instance, pod: Pod): Promise<Outcome> => {
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
      dataGoing: dataGoingOf(context, instance, pod),
    },
    grant: keptGrant(instance, pod),
  }
}
