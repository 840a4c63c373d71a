import type { Instance } from '../../crds/instance.ts'
import { releaseFinalizer } from '../../kube/names.ts'
import { parseKey } from '../../kube/resource.ts'
import { instances, type Pod, pods } from '../../kube/resources.ts'
import { announce } from '../announce.ts'
import { conditionOf } from '../conditions.ts'
import type { Context, Result } from '../context.ts'
import { writeStatus } from '../write-status.ts'
import { isOwnedBy, isTerminal, neverRan } from './pod-state.ts'
import { gather, grantOf, isAsSpecified, partsOf, start } from './start.ts'
import { type Drift, type Finding, type Grant, statusAfter } from './status.ts'
import { templateProblem } from './template-rules.ts'

interface Outcome extends Result {
  finding: Finding
  grant?: Grant | undefined
}

/** A pod that ended by itself is replaced no sooner after it was made. */
const replaceAfterMs = 10_000
/** Nothing tells when a pod of another's goes, or a quota grows. */
const lookAgainMs = 5_000

/** Whose pod it is that has our name. */
const ofStranger = ({ metadata }: Pod): Outcome => {
  const { name } = metadata
  if (metadata.deletionTimestamp || metadata.finalizers.includes(releaseFinalizer)) {
    const message = `pod ${name} of an earlier instance of this name has not ended yet`
    return { finding: { kind: 'previousPod', message }, requeueAfterMs: lookAgainMs }
  }
  const message = `a pod ${name} that is not Lamina's has the instance's name: delete it, or give the instance another name`
  return { finding: { kind: 'nameTaken', message }, requeueAfterMs: lookAgainMs }
}

const remove = ({ client }: Context, { metadata }: Pod): Promise<boolean> =>
  client.delete(pods, metadata, { uid: metadata.uid })

const stop = async (context: Context, pod: Pod | undefined): Promise<Outcome> => {
  if (!pod) return { finding: { kind: 'stopped' } }
  if (!pod.metadata.deletionTimestamp) await remove(context, pod)
  return { finding: { kind: 'stopping' } }
}

const keptGrant = ({ status }: Instance, pod: Pod): Grant => {
  const { nodeName } = pod.spec ?? {}
  return {
    ...(status.pod ? { pod: { ...status.pod, ...(nodeName ? { nodeName } : {}) } } : {}),
    ...(status.image ? { image: status.image } : {}),
    ...(status.overlays ? { overlays: status.overlays } : {}),
  }
}

const driftOf = (context: Context, instance: Instance, pod: Pod): Drift => {
  const ingredients = gather(context, instance)
  if (ingredients.kind === 'missing') return { kind: 'none' }
  const { drifted, base } = ingredients.chosen
  if (drifted !== undefined) return { kind: 'base', from: base.reference, to: drifted }
  return isAsSpecified(pod, partsOf(context, instance, ingredients)) ? { kind: 'none' } : { kind: 'spec' }
}

/** A pod whose grant was never written: a leader made it and stopped before that. */
const grantLate = async (context: Context, instance: Instance, pod: Pod): Promise<Outcome> => {
  const started = await start(context, instance)
  if (started.kind === 'not') {
    await remove(context, pod)
    return { finding: started.finding }
  }
  if (!isAsSpecified(pod, started.parts)) {
    await remove(context, pod)
    return {
      finding: { kind: 'previousPod', message: `pod ${pod.metadata.name} is of another spec and is being replaced` },
    }
  }
  return { finding: { kind: 'pod', pod, drift: { kind: 'none' } }, grant: grantOf(pod, started.parts) }
}

const tend = async (context: Context, instance: Instance, pod: Pod): Promise<Outcome> => {
  const { name, uid, creationTimestamp = '' } = pod.metadata
  if (pod.metadata.deletionTimestamp) {
    return { finding: { kind: 'previousPod', message: `pod ${name} is ending` }, grant: keptGrant(instance, pod) }
  }
  if (isTerminal(pod)) {
    const outcome: Outcome = {
      finding: { kind: 'pod', pod, drift: { kind: 'none' } },
      grant: keptGrant(instance, pod),
    }
    if (instance.spec.restartPolicy !== 'Always' && !neverRan(pod)) return outcome
    const age = context.clock.now().getTime() - Date.parse(creationTimestamp)
    if (age < replaceAfterMs) return { ...outcome, requeueAfterMs: replaceAfterMs - age }
    await remove(context, pod)
    return outcome
  }
  if (instance.status.pod?.uid !== uid) return grantLate(context, instance, pod)
  return {
    finding: { kind: 'pod', pod, drift: driftOf(context, instance, pod) },
    grant: keptGrant(instance, pod),
  }
}

const begin = async (context: Context, instance: Instance): Promise<Outcome> => {
  const started = await start(context, instance)
  if (started.kind === 'not') {
    return {
      finding: started.finding,
      ...(started.finding.kind === 'podRefused' ? { requeueAfterMs: lookAgainMs } : {}),
    }
  }
  const { pod, parts } = started
  if (!isOwnedBy(pod, instance)) return ofStranger(pod)
  return { finding: { kind: 'pod', pod, drift: { kind: 'none' } }, grant: grantOf(pod, parts) }
}

/** Its process ended for good, and somebody has removed the pod since. */
const isFinished = ({ spec, status }: Instance): boolean => {
  const reason = conditionOf(status.conditions, 'Running')?.reason
  return spec.restartPolicy !== 'Always' && (reason === 'Completed' || reason === 'Failed')
}

const advance = async (context: Context, instance: Instance): Promise<Outcome> => {
  const problem = templateProblem(instance.spec)
  if (problem !== undefined) return { finding: { kind: 'invalid', message: problem } }
  const pod = context.caches.pods.get(instance.metadata)
  if (pod && !isOwnedBy(pod, instance)) return ofStranger(pod)
  if (instance.spec.state === 'Stopped') return stop(context, pod)
  if (pod) return tend(context, instance, pod)
  if (isFinished(instance)) return { finding: { kind: 'finished' } }
  return begin(context, instance)
}

/** One pass over an Instance: its pod as the spec asks, and one status write. */
export const createInstanceReconciler =
  (context: Context) =>
  async (key: string): Promise<Result> => {
    const { caches, client, clock, events } = context
    const instance = caches.instances.get(parseKey(key))
    if (!instance || instance.metadata.deletionTimestamp) return {}
    const { requeueAfterMs, ...outcome } = await advance(context, instance)
    const after = statusAfter(instance, outcome, clock.now())
    const before = instance.status
    caches.instances.note(await writeStatus(client, instances, instance, { before, after }))
    announce(events, { kind: 'Instance', metadata: instance.metadata }, before.conditions, after.conditions)
    return requeueAfterMs === undefined ? {} : { requeueAfterMs }
  }
