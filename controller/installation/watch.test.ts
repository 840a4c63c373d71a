import { afterEach, describe, expect, test } from 'vitest'
import { ApiError } from '../../kube/api-error.ts'
import type { KubeClient } from '../../kube/client.ts'
import { deployments } from '../../kube/deployments.ts'
import { createMetrics } from '../../kube/metrics.ts'
import type { KubeObject, Resource } from '../../kube/resource.ts'
import { createManualClock } from '../../kube/testing/manual-clock.ts'
import { silentLog } from '../../kube/testing/silent-log.ts'
import { admissionPolicies } from './guards.ts'
import { createInstallationWatch } from './watch.ts'

const forbidden = () => new ApiError('forbidden', { status: 403, reason: 'Forbidden' })
const bookmark = {
  type: 'BOOKMARK' as const,
  object: { metadata: { resourceVersion: '9', annotations: { 'k8s.io/initial-events-end': 'true' } } },
}
const policy = { metadata: { name: 'lamina-claims', uid: 'policy', resourceVersion: '5' } }
const binding = {
  metadata: { name: 'lamina-claims', uid: 'binding', resourceVersion: '5' },
  spec: { policyName: 'lamina-claims', validationActions: ['Deny'] },
}

/** An API server with the one policy in force, which the controller may or may not read; each watch ends after a minute. */
const createCluster = (clock: ReturnType<typeof createManualClock>) => {
  const state = { isReadable: true, conditions: [] as object[], requests: 0 }
  const deployment = () => ({
    metadata: { name: 'controller', namespace: 'lamina', uid: 'deployment', resourceVersion: '1' },
    status: { conditions: state.conditions },
  })
  const client: Pick<KubeClient, 'get' | 'apply' | 'listPage' | 'watch'> = {
    get: async (resource) => {
      state.requests++
      return resource.parse(deployment())
    },
    apply: async (resource, body) => {
      state.requests++
      if ('status' in body) state.conditions = deployments.parse({ ...deployment(), ...body }).status.conditions
      return resource.parse(deployment())
    },
    listPage: async () => {
      throw forbidden()
    },
    watch: async function* (resource: Resource<KubeObject>, _options, signal) {
      if (!state.isReadable) throw forbidden()
      yield { type: 'ADDED', object: resource.plural === admissionPolicies.plural ? policy : binding }
      yield bookmark
      await new Promise<void>((resolve) => {
        clock.setTimeout(resolve, 60_000)
        signal.addEventListener('abort', () => resolve(), { once: true })
      })
    },
  }
  return { client, state }
}

const stop = new AbortController()
afterEach(() => stop.abort())

describe('the condition Guarded', () => {
  test('is Unknown when the policies can be read no more, and True again when they can', async () => {
    const clock = createManualClock()
    const { client, state } = createCluster(clock)
    const told: string[] = []
    const run = createInstallationWatch({
      ...{ client, clock, log: silentLog, metrics: createMetrics() },
      ...{ namespace: 'lamina', deployment: 'controller', guards: ['lamina-claims'] },
      events: { event: (_about, type, reason) => told.push(`${type} ${reason}`) },
    })
    void run(stop.signal)
    await clock.advance(3_600_000)
    expect(state.conditions).toMatchObject([{ type: 'lamina.dev/Guarded', status: 'True', reason: 'PoliciesInForce' }])
    expect(state.requests, 'what stays the same costs no request').toBeLessThan(5)
    state.isReadable = false
    await clock.advance(420_000)
    expect(state.conditions).toMatchObject([{ status: 'Unknown', reason: 'PoliciesUnreadable' }])
    state.isReadable = true
    await clock.advance(90_000)
    expect(state.conditions).toMatchObject([{ status: 'True' }])
    expect(told).toEqual(['Normal PoliciesInForce', 'Warning PoliciesUnreadable', 'Normal PoliciesInForce'])
  })
})
