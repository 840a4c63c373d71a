import type { Instance } from '../../crds/instance.ts'
import type { Attempts } from '../../kube/attempts.ts'
import { apiVersion } from '../../kube/names.ts'
import { parseKey } from '../../kube/resource.ts'
import { instances, type Pod } from '../../kube/resources.ts'
import { announce } from '../announce.ts'
import { conditionOf } from '../conditions.ts'
import type { Context, Result } from '../context.ts'
import { soonest } from '../soonest.ts'
import { writeStatus } from '../write-status.ts'
import { begin } from './begin.ts'
import { withdrawClaims } from './claim.ts'
import { driftOf } from './drift.ts'
import { hasCompleted, isIdleStopped } from './lifecycle/at-rest.ts'
import { decide } from './lifecycle/decide.ts'
import type { Decision, Rest } from './lifecycle/policy.ts'
import type { Outcome } from './outcome.ts'
import { livePod, ownPod, removePod } from './own-pod.ts'
import { isOwnedBy } from './pod-state.ts'
import { ensureService, lookAgainMs } from './service/ensure.ts'
import { waitsForMore } from './soon.ts'
import { manyStart } from './starting.ts'
import { type Drift, statusAfter } from './status.ts'
import { ofStranger } from './stranger.ts'
import { tend } from './tend.ts'
import { awaitsOverlay } from './waiting.ts'

const isTold = ({ status }: Instance, { reason }: Rest): boolean =>
  conditionOf(status.conditions, 'Running')?.reason === reason

/** Nothing is said to be stopped of which the API server still has a pod: the cache may lack it. */
const stop = async (context: Context, instance: Instance, cached: Pod | undefined, rest: Rest): Promise<Outcome> => {
  const pod = cached ?? (isTold(instance, rest) ? undefined : await livePod(context, instance))
  if (!pod || !isOwnedBy(pod, instance)) return { finding: { kind: 'stopped', rest } }
  // What its pod alone tells is written before the pod goes, which the next pass sees to.
  const isWritten = rest.idleStop === undefined || isIdleStopped(instance)
  if (!isWritten) return { finding: { kind: 'stopping', pod, rest }, requeueAfterMs: 0 }
  if (!pod.metadata.deletionTimestamp) await removePod(context, pod)
  return { finding: { kind: 'stopping', pod, rest } }
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

/** When its lifecycle comes to something else by what the pass has written: no event of that calls for another. */
const reviewAfter = (context: Context, instance: Instance, before: Decision): number | undefined => {
  const now = context.clock.now()
  const { decision, reviewAtMs } = decide({ instance, pod: ownPod(context, instance), now })
  if (decision.kind !== before.kind) return 0
  return reviewAtMs === undefined ? undefined : Math.max(reviewAtMs - now.getTime(), 0)
}

/** What it begins to wait for may have come free before that was told: from then on its changes call for a pass. */
const beginsToWait = (before: Instance, after: Instance): boolean => awaitsOverlay(after) && !awaitsOverlay(before)

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
    const isBurst = manyStart(caches, now)
    const circumstances = { pod: caches.pods.get(instance.metadata), isBurst, now: clock.now() }
    const waitMs = waitsForMore(instance, after, circumstances)
    if (waitMs > 0) {
      return soonest(waitMs, requeueAfterMs, reviewAfter(context, instance, decision), lookAgainMs(service))
    }
    caches.instances.note(await writeStatus(client, instances, instance, { before, after }))
    announce(events, { kind: 'Instance', metadata: instance.metadata }, before.conditions, after.conditions)
    const told = { ...instance, status: after }
    if (beginsToWait(instance, told)) return { requeueAfterMs: 0 }
    return soonest(reviewAfter(context, told, decision), requeueAfterMs, lookAgainMs(service))
  }
