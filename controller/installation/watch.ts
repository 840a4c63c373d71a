import type { KubeClient } from '../../kube/client.ts'
import { type Clock, pause, systemClock, timestamp } from '../../kube/clock.ts'
import { deployments } from '../../kube/deployments.ts'
import type { EventRecorder, EventSubject } from '../../kube/events.ts'
import type { Logger } from '../../kube/log.ts'
import type { Metrics } from '../../kube/metrics.ts'
import { guardedCondition } from '../../kube/names.ts'
import { createReflector } from '../../kube/reflector.ts'
import { formatKey } from '../../kube/resource.ts'
import { createWorkQueue } from '../../kube/work-queue.ts'
import { changedCondition, type Finding, findingOf } from './condition.ts'
import { admissionPolicies, admissionPolicyBindings, missingGuards } from './guards.ts'

export interface InstallationOptions {
  client: Pick<KubeClient, 'get' | 'apply' | 'listPage' | 'watch'>
  events: EventRecorder
  log: Logger
  metrics: Metrics
  clock?: Clock
  namespace: string
  /** The controller's own Deployment, which shows the condition. */
  deployment: string
  /** Names of the admission policies that the chart has made, or would have. */
  guards: readonly string[]
}

/** How often it is looked at whether the policies can be read still: of that no watch tells. A first list that is not in by then is refused, as a rule. */
const checkMs = 30_000

/** The API server sends a bookmark about every minute, and a watch that is silent for three is begun anew: what has no word by then is refused. */
const staleMs = 300_000

const fieldManager = 'lamina-controller-installation'
const labelSelector = 'app.kubernetes.io/name=lamina'

/**
 * Watches the admission policies, and shows in a condition of the controller's
 * Deployment whether they are in force: without them nothing fails, and who
 * runs the cluster must see it all the same. For the leader alone.
 */
export const createInstallationWatch = (options: InstallationOptions): ((signal: AbortSignal) => Promise<void>) => {
  const { client, events, log, metrics, clock = systemClock, namespace, deployment, guards } = options
  const key = { namespace, name: deployment }
  const gauge = metrics.gauge(
    'lamina_admission_policies_missing',
    'Admission policies of the chart that are not in force, or cannot be seen to be',
  )

  const isRead = (): boolean =>
    [policies, bindings].every(({ lastSync }) => clock.now().getTime() - lastSync() < staleMs)
  let shown: boolean | undefined

  const tell = (about: EventSubject, { status, reason, message }: Finding): void => {
    const isGood = status === 'True'
    log[isGood ? 'info' : 'warn']({ reason }, message)
    events.event(about, isGood ? 'Normal' : 'Warning', reason, message)
  }

  const show = async (): Promise<void> => {
    const canBeRead = isRead()
    const missing = canBeRead ? missingGuards(guards, policies.list(), bindings.list()) : undefined
    gauge.set(missing?.length ?? guards.length)
    shown = canBeRead
    const object = await client.get(deployments, key)
    if (!object) return
    const finding = findingOf(missing, guards.length)
    const before = object.status.conditions.find(({ type }) => type === guardedCondition)
    const condition = changedCondition(before, finding, timestamp(clock.now()))
    if (!condition) return
    const body = { metadata: key, status: { conditions: [condition] } }
    await client.apply(deployments, body, { fieldManager, subresource: 'status' })
    tell({ apiVersion: 'apps/v1', kind: deployments.kind, metadata: object.metadata }, finding)
  }

  const queue = createWorkQueue({
    name: 'installation',
    concurrency: 1,
    process: show,
    log,
    metrics,
    clock,
    maxBackoffMs: 60_000,
  })
  /** Before both lists are in, everything would seem to be missing. */
  const look = (): void => {
    if (isRead()) queue.add(formatKey(key))
  }
  const shared = { client, log, metrics, clock, labelSelector, onChange: look }
  const policies = createReflector({ ...shared, resource: admissionPolicies })
  const bindings = createReflector({ ...shared, resource: admissionPolicyBindings })

  const checkReading = async (signal: AbortSignal): Promise<void> => {
    while (!signal.aborted) {
      await pause(clock, checkMs, signal)
      if (isRead() !== shown) queue.add(formatKey(key))
    }
  }

  return async (signal) => {
    for (const { synced } of [policies, bindings]) void synced.then(look)
    await Promise.all([policies.run(signal), bindings.run(signal), checkReading(signal), queue.run(signal)])
  }
}
