import { setImmediate as turn } from 'node:timers/promises'
import { pino } from 'pino'
import { describe, expect, test } from 'vitest'
import { ApiError, type KubeClient } from './client.ts'
import { createEventRecorder } from './events.ts'
import type { Logger } from './log.ts'
import { events } from './resources.ts'
import { widget } from './testing/fake-kind.ts'
import { createManualClock } from './testing/manual-clock.ts'
import { silentLog } from './testing/silent-log.ts'

const about = (name: string) => ({ apiVersion: 'test/v1', kind: 'Widget', metadata: widget(name, 7).metadata })

const createBench = (log: Logger = silentLog) => {
  const stored = new Map<string, { count: number; message: string }>()
  const requests: string[] = []
  const state: { failure: Error | undefined; hold: Promise<void> | undefined } = { failure: undefined, hold: undefined }
  const client: Pick<KubeClient, 'create' | 'mergePatch'> = {
    create: async (resource, body) => {
      requests.push('create')
      await state.hold
      if (state.failure) throw state.failure
      const event = events.parse(body)
      stored.set(event.metadata.name, { count: event.count ?? 0, message: event.message ?? '' })
      return resource.parse(body)
    },
    mergePatch: async (resource, { namespace, name }, patch) => {
      requests.push('patch')
      await state.hold
      const event = stored.get(name)
      if (!event) return undefined
      Object.assign(event, patch)
      return resource.parse({ metadata: { namespace, name } })
    },
  }
  const clock = createManualClock()
  const recorder = createEventRecorder(client, { component: 'lamina-test', host: 'here', log, clock })
  return { recorder, client, stored, requests, state, clock, all: () => [...stored.values()] }
}

describe('an event recorder', () => {
  test('makes an Event that names the object, the source and the time', async () => {
    const bodies: object[] = []
    const recorder = createEventRecorder(
      {
        create: async (resource, body, namespace) => {
          bodies.push({ namespace, ...body })
          return resource.parse(body)
        },
        mergePatch: async () => undefined,
      },
      { component: 'lamina-test', host: 'here', log: silentLog, clock: createManualClock() },
    )
    recorder.event(about('a'), 'Warning', 'Broken', 'it is broken')
    await turn()
    expect(bodies).toMatchObject([
      {
        namespace: 'ns',
        metadata: { name: expect.stringMatching(/^a\.[0-9a-f]{16}$/), namespace: 'ns' },
        involvedObject: { apiVersion: 'test/v1', kind: 'Widget', namespace: 'ns', name: 'a', uid: 'uid-a' },
        type: 'Warning',
        reason: 'Broken',
        message: 'it is broken',
        source: { component: 'lamina-test', host: 'here' },
        count: 1,
        firstTimestamp: '2026-01-01T00:00:00Z',
        lastTimestamp: '2026-01-01T00:00:00Z',
      },
    ])
  })

  test('counts the same event up instead of making another', async () => {
    const { recorder, all, requests } = createBench()
    for (let i = 0; i < 3; i++) {
      recorder.event(about('a'), 'Normal', 'Made', 'made it')
      await turn()
    }
    expect(all()).toMatchObject([{ count: 3 }])
    expect(requests).toEqual(['create', 'patch', 'patch'])
  })

  test('what differs in object, type, reason or message is another event', async () => {
    const { recorder, all } = createBench()
    recorder.event(about('a'), 'Normal', 'Made', 'made it')
    recorder.event(about('b'), 'Normal', 'Made', 'made it')
    recorder.event(about('a'), 'Warning', 'Made', 'made it')
    recorder.event(about('a'), 'Normal', 'Remade', 'made it')
    recorder.event(about('a'), 'Normal', 'Made', 'made it again')
    await turn()
    expect(all().map(({ count }) => count)).toEqual([1, 1, 1, 1, 1])
  })

  test('a thousand repeats while one write is under way are one more write', async () => {
    const { recorder, all, requests, state } = createBench()
    const { promise, resolve } = Promise.withResolvers<void>()
    state.hold = promise
    for (let i = 0; i < 1000; i++) recorder.event(about('a'), 'Normal', 'Made', 'made it')
    resolve()
    await turn()
    expect(requests).toEqual(['create', 'patch'])
    expect(all()).toMatchObject([{ count: 1000 }])
  })

  test('an event that has aged away is made anew', async () => {
    const { recorder, all, stored, requests } = createBench()
    recorder.event(about('a'), 'Normal', 'Made', 'made it')
    await turn()
    stored.clear()
    recorder.event(about('a'), 'Normal', 'Made', 'made it')
    await turn()
    expect(requests).toEqual(['create', 'patch', 'create'])
    expect(all()).toMatchObject([{ count: 1 }])
  })

  test('a failure disturbs nobody, and the next try counts what was missed', async () => {
    const { recorder, all, state } = createBench()
    state.failure = new ApiError('the server is overloaded', { status: 429, reason: 'TooManyRequests' })
    recorder.event(about('a'), 'Normal', 'Made', 'made it')
    await turn()
    expect(all()).toEqual([])
    state.failure = undefined
    recorder.event(about('a'), 'Normal', 'Made', 'made it')
    await turn()
    expect(all()).toMatchObject([{ count: 2 }])
  })

  test.each([
    ['is told', ['FieldForbidden'], 1],
    ['of a namespace that is being deleted is not', ['NamespaceTerminating'], 0],
  ])('a refusal %s', async (_, causes, lines) => {
    let told = 0
    const { recorder, state } = createBench(pino({ level: 'warn' }, { write: () => told++ }))
    state.failure = new ApiError('no', { status: 403, reason: 'Forbidden', causes })
    recorder.event(about('a'), 'Normal', 'Made', 'made it')
    await turn()
    expect(told).toBe(lines)
  })

  test('a long message is cut to 1024 bytes, at a whole character', async () => {
    const { recorder, all } = createBench()
    recorder.event(about('a'), 'Normal', 'Long', `x${'ä'.repeat(2000)}`)
    recorder.event(about('a'), 'Normal', 'Whole', 'y'.repeat(1024))
    await turn()
    const [long, whole] = all().map(({ message }) => message)
    expect(long).toMatch(/^xä+…$/)
    expect(Buffer.byteLength(long ?? '')).toBeGreaterThan(1020)
    expect(Buffer.byteLength(long ?? '')).toBeLessThanOrEqual(1024)
    expect(whole).toBe('y'.repeat(1024))
  })

  test('remembers the thousand that were last used', async () => {
    const { recorder, requests } = createBench()
    const record = async (name: string) => {
      recorder.event(about(name), 'Normal', 'Made', 'made it')
      await turn()
    }
    await record('kept')
    await record('forgotten')
    for (let i = 0; i < 1022; i++) recorder.event(about(`other-${i}`), 'Normal', 'Made', 'made it')
    await record('kept')
    await record('one-more')
    requests.length = 0
    await record('kept')
    await record('forgotten')
    expect(requests).toEqual(['patch', 'create'])
  })
})
