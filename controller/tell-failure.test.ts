import { expect, test } from 'vitest'
import { instanceSchema } from '../crds/instance.ts'
import { ApiError, type KubeClient } from '../kube/client.ts'
import { instances } from '../kube/resources.ts'
import { createManualClock } from '../kube/testing/manual-clock.ts'
import { condition, genInstance } from '../test/gen/objects.ts'
import { tellingFailures } from './tell-failure.ts'
import { ObjectGoneError, writeStatus } from './write-status.ts'

const running = [condition('Ready', 'True', 'Running'), condition('Running', 'True', 'Started')]
const before = genInstance('dev', {
  metadata: { generation: 2 },
  status: { observedGeneration: 1, startTime: '2026-01-01T00:00:00Z', conditions: running },
})

/** An instance of which each pass comes to what `pass` says. */
const createTries = () => {
  const clock = createManualClock()
  const events: string[] = []
  const tries = {
    ...{ clock, events, object: before, writes: 0, failed: 0 },
    pass: async (): Promise<object> => ({}),
    async run(times: number): Promise<void> {
      const fail = (): void => {
        tries.failed++
      }
      for (let count = 0; count < times; count++) await reconcile('team/dev').catch(fail)
    },
    told: () => tries.object.status.conditions?.map(({ type, status, reason }) => `${type} ${status} ${reason}`),
  }
  const apply: KubeClient['apply'] = async (resource, body) => {
    tries.writes++
    tries.object = instanceSchema.parse({ ...tries.object, ...JSON.parse(JSON.stringify(body)) })
    return resource.parse(tries.object)
  }
  const cache = { get: () => tries.object, note: () => {} }
  const reconcile = tellingFailures(
    { client: { apply }, clock, events: { event: (_about, type, reason) => events.push(`${type} ${reason}`) } },
    { resource: instances, cache, statusOf: ({ status }) => status },
    () => tries.pass(),
  )
  return tries
}

const failing = () => {
  const tries = createTries()
  tries.pass = () => Promise.reject(new Error('nodes is\nforbidden'))
  return tries
}

test('a failure that a moment mends is not told', async () => {
  const tries = failing()
  await tries.run(7)
  tries.pass = async () => ({})
  await tries.run(1)
  tries.pass = () => Promise.reject(new Error('again'))
  await tries.run(7)
  expect(tries.writes).toBe(0)
})

test('one that lasts is: of the newest spec, in a few words, and what else was known stays', async () => {
  const tries = failing()
  await tries.run(8)
  expect(tries.told()).toEqual([
    'Ready False ReconcileError',
    'Reconciling True ReconcileError',
    'Stalled False None',
    'Running True Started',
  ])
  expect(tries.object.status).toMatchObject({ observedGeneration: 2, startTime: '2026-01-01T00:00:00Z' })
  expect(tries.object.status.conditions?.[0]?.message).toContain('tries again: nodes is forbidden')
  expect(tries.events).toEqual(['Warning ReconcileError'])
})

test('but not of one that is Stalled: that nobody can use it is what others go by', async () => {
  const tries = failing()
  const conditions = [condition('Ready', 'False', 'ClaimLost'), condition('Stalled', 'True', 'ClaimLost')]
  tries.object = { ...before, status: { observedGeneration: 1, conditions } }
  await tries.run(20)
  expect({ writes: tries.writes, events: tries.events }).toEqual({ writes: 0, events: [] })
})

test('but not at each try, although its words differ: a write calls for a pass', async () => {
  const tries = failing()
  let count = 0
  tries.pass = () => Promise.reject(new Error(`request ${count++}`))
  await tries.run(50)
  expect(tries.writes).toBe(1)
  await tries.clock.advance(60_000)
  await tries.run(50)
  expect(tries.writes).toBe(2)
})

test('a conflict is no failure: somebody else wrote', async () => {
  const tries = createTries()
  tries.pass = () => Promise.reject(new ApiError('conflict', { status: 409, reason: 'Conflict' }))
  await tries.run(50)
  expect(tries.writes).toBe(0)
})

test('that the object has been deleted meanwhile is the end of the pass', async () => {
  const tries = createTries()
  const gone = new ApiError('not found', { status: 404, reason: 'NotFound', subject: 'dev' })
  const client = { apply: () => Promise.reject(gone) }
  await expect(writeStatus(client, instances, before, { before: before.status, after: {} })).rejects.toBeInstanceOf(
    ObjectGoneError,
  )
  tries.pass = () => writeStatus(client, instances, before, { before: before.status, after: {} })
  await tries.run(20)
  expect({ failed: tries.failed, writes: tries.writes }).toEqual({ failed: 0, writes: 0 })
})
