import { expect, test } from 'vitest'
import { ApiError, type KubeClient, type WatchEvent } from '../../kube/client.ts'
import { instances } from '../../kube/resources.ts'
import { followUntil } from './follow.ts'

const key = { namespace: 'team', name: 'dev' }
const { signal } = new AbortController()
const dev = (image: string): object => ({ metadata: { name: 'dev' }, spec: { imageRef: { name: image } } })
const error = (reason: string): ApiError => new ApiError(reason, { status: 500, reason })

/** Time passes when somebody waits for it. */
const clock = () => {
  let now = 0
  return {
    now: () => new Date(now),
    monotonicMs: () => now,
    setTimeout: (fn: () => void, ms: number) => {
      now += ms
      queueMicrotask(fn)
      return () => {}
    },
  }
}

/** Answers one look after the other; the last one for ever. */
const answering = (
  looks: (object[] | Error)[],
  events: WatchEvent[] = [],
): Pick<KubeClient, 'listPage' | 'watch'> & { looks: () => number } => {
  let count = 0
  return {
    looks: () => count,
    listPage: async () => {
      const look = looks[Math.min(count++, looks.length - 1)] ?? []
      if (look instanceof Error) throw look
      return { items: look, resourceVersion: '1' }
    },
    watch: async function* () {
      yield* events
      throw error('Expired')
    },
  }
}

const images = (client: Pick<KubeClient, 'listPage' | 'watch'>, wanted: string): Promise<string> =>
  followUntil(client, instances, key, {
    signal,
    clock: clock(),
    judge: (instance) => (instance?.spec.imageRef.name === wanted ? wanted : undefined),
  })

test('an object is judged as it is, and then as it changes', async () => {
  const changes: WatchEvent[] = [
    { type: 'BOOKMARK', object: {} },
    { type: 'MODIFIED', object: dev('second') },
  ]
  expect(await images(answering([[dev('first')]], changes), 'first')).toBe('first')
  expect(await images(answering([[dev('first')]], changes), 'second')).toBe('second')
})

test('one that is not there, or has gone, is undefined', async () => {
  const gone = answering([[dev('first')]], [{ type: 'DELETED', object: dev('first') }])
  const judge = (instance: unknown): true | undefined => (instance === undefined ? true : undefined)
  expect(await followUntil(gone, instances, key, { signal, judge })).toBe(true)
  expect(await followUntil(answering([[]]), instances, key, { signal, judge })).toBe(true)
})

test('an API server that is away for a moment, and then does not know our kinds yet, is waited for', async () => {
  const client = answering([[dev('first')], error('ServiceUnavailable'), error('NotFound'), [dev('second')]])
  expect(await images(client, 'second')).toBe('second')
})

test('one that stays away is told after a minute', async () => {
  const client = answering([[dev('first')], error('ServiceUnavailable')])
  await expect(images(client, 'second')).rejects.toThrow('ServiceUnavailable')
  expect(client.looks()).toBeGreaterThan(60)
})

test.each(['Forbidden', 'Unauthorized'])('%s is told at once', async (reason) => {
  const client = answering([[dev('first')], error(reason)])
  await expect(images(client, 'second')).rejects.toThrow(reason)
  expect(client.looks()).toBe(2)
})

test('what the first look fails of is told at once', async () => {
  await expect(images(answering([error('NotFound')]), 'first')).rejects.toThrow('NotFound')
})
