import { describe, expect, test } from 'vitest'
import { ApiError } from '../../../kube/client.ts'
import { type Service, services } from '../../../kube/resources.ts'
import { genInstance } from '../../../test/gen/objects.ts'
import { standingWith } from './condition.ts'
import { serviceOf } from './desired.ts'
import { ensureService } from './ensure.ts'

const spec = { service: {}, ports: [{ containerPort: 80 }] }
const web = genInstance('web', { spec })
const desired = serviceOf(web)
const own = services.parse({ ...desired, metadata: { ...desired?.metadata, uid: 'own' } })
const strange = services.parse({ metadata: { name: 'web', namespace: 'team', uid: 'strange' }, spec: {} })

/** A cluster with one Service, or none, and what is asked of it. */
const createCluster = (
  there: Service | undefined,
  { cached = there, answer }: { cached?: Service; answer?: Error } = {},
) => {
  const calls: string[] = []
  const context = {
    caches: { services: { get: () => cached, note: () => undefined } },
    client: {
      get: async () => undefined,
      apply: async <T>(resource: { parse(json: unknown): T }, body: object, { force }: { force?: boolean }) => {
        calls.push(`apply${force ? ' with force' : ''}`)
        if (answer) throw answer
        return resource.parse(body)
      },
      delete: async (_: unknown, __: unknown, { uid }: { uid?: string | undefined } = {}) => {
        calls.push(`delete ${uid}`)
        return true
      },
    },
  }
  return { context, calls }
}
const conflict = new ApiError('no', { status: 409, reason: 'Conflict' })
const invalid = new ApiError('no', { status: 422, reason: 'Invalid', words: 'it must start with a letter' })
const webhook = new ApiError('no', { status: 500, reason: 'InternalError', words: 'failed calling webhook' })
const quota = new ApiError('no', { status: 403, reason: 'Forbidden', words: 'exceeded quota: services' })

describe('the Service of an instance that asks for one', () => {
  test.each([
    ['is made, and takes nothing from one that comes at the same moment', undefined, web, ['apply'], 'there'],
    ['stays as it is', own, web, [], 'there'],
    [
      'stays while the instance is stopped',
      own,
      genInstance('web', { spec: { ...spec, state: 'Stopped' } }),
      [],
      'there',
    ],
    [
      'follows the spec',
      own,
      genInstance('web', { spec: { ...spec, service: { type: 'NodePort' } } }),
      ['apply with force'],
      'there',
    ],
    ["is not made of a stranger's", strange, web, [], 'taken'],
    ['is removed when nobody asks any more', own, genInstance('web'), ['delete own'], undefined],
    ["is not removed when it is a stranger's", strange, genInstance('web'), [], undefined],
  ])('%s', async (_, there, instance, expected, kind) => {
    const { context, calls } = createCluster(there)
    expect((await ensureService(context, instance))?.kind).toBe(kind)
    expect(calls).toEqual(expected)
  })

  test.each([
    ['a stranger came first', conflict, 'taken', /is not this instance's/],
    ['a name that no Service may have', invalid, 'invalid', /must start with a letter/],
    ['a quota', quota, 'refused', /exceeded quota: services/],
    ['a webhook that is down, which must not keep the instance', webhook, 'refused', /failed calling webhook/],
  ])('is told when it cannot be: %s', async (_, answer, kind, message) => {
    const { context } = createCluster(undefined, { answer })
    expect(await ensureService(context, web)).toEqual({ kind, message: expect.stringMatching(message) })
  })

  test('one of its own that changed in between is tried again', async () => {
    const outdated = genInstance('web', { spec: { ...spec, service: { type: 'NodePort' } } })
    const { context } = createCluster(own, { answer: conflict })
    await expect(ensureService(context, outdated)).rejects.toThrow(conflict)
  })

  test('no answer is tried again', async () => {
    const { context } = createCluster(undefined, { answer: new Error('no answer') })
    await expect(ensureService(context, web)).rejects.toThrow('no answer')
  })
})

describe('how the instance stands with it', () => {
  const running = { kind: 'ready', reason: 'Running' } as const
  const starting = { kind: 'progressing', reason: 'Starting', message: 'm' } as const
  test.each([
    ['nothing asked', undefined, running, running],
    ['there', { kind: 'there' } as const, running, running],
    [
      'taken: no retry helps',
      { kind: 'taken', message: 't' } as const,
      running,
      { kind: 'stalled', reason: 'ServiceNameTaken', message: 't' },
    ],
    [
      'refused',
      { kind: 'refused', message: 'r' } as const,
      running,
      { kind: 'progressing', reason: 'ServiceRefused', message: 'r' },
    ],
    ['what is wrong with itself comes first', { kind: 'taken', message: 't' } as const, starting, starting],
  ])('%s', (_, service, standing, expected) => {
    expect(standingWith(service, standing)).toEqual(expected)
  })
})
