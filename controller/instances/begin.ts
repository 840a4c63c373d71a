import type { Instance } from '../../crds/instance.ts'
import type { Attempts } from '../../kube/attempts.ts'
import { conditionOf } from '../conditions.ts'
import type { Context } from '../context.ts'
import { withdrawClaims } from './claim.ts'
import { problemOf } from './drift.ts'
import type { Outcome } from './outcome.ts'
import { livePod } from './own-pod.ts'
import { isOwnedBy } from './pod-state.ts'
import { claimAll, createPod, grantTo, PodRefusedError, refusalNow } from './start.ts'
import { type Finding, podInvalid, podRefused } from './status.ts'
import { ofStranger } from './stranger.ts'

/** When a pod that was refused is tried again. */
const refusalPace = { firstMs: 2_000, longestMs: 60_000 }

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
  const refusal = lastRefusal(instance)
  if (refusal && remaining > 0) return { finding: refusal, requeueAfterMs: remaining }
  const refused = ({ message, isInvalid }: PodRefusedError): Outcome => ({
    finding: { kind: 'podRefused', message, isInvalid },
    requeueAfterMs: attempts.next(tries, refusalPace).waitMs,
  })
  const again = refusal ? await refusalNow(context, instance) : undefined
  if (again) return refused(again)
  if (isToldNameTaken(instance)) {
    const pod = await livePod(context, instance)
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
    return refused(error)
  }
}

/** An instance without a pod gets one. All or nothing: without a pod of its own an instance holds no overlay. */
export const begin = async (context: Context, instance: Instance, attempts: Attempts): Promise<Outcome> => {
  const outcome = await tryToBegin(context, instance, attempts)
  if (outcome.finding.kind !== 'pod') await withdrawClaims(context, instance)
  return outcome
}
