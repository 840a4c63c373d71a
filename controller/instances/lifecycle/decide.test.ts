import { describe, expect, test } from 'vitest'
import { condition, genInstance, genPod } from '../../../test/gen/objects.ts'
import { isAtRest } from './at-rest.ts'
import { decide } from './decide.ts'

const noon = new Date('2026-01-01T12:00:00Z')
const at = (time: string): number => Date.parse(`2026-01-01T${time}Z`)
const ran = { phase: 'Running', containerStatuses: [{ name: 'main', state: { running: {} } }] }
const completed = { phase: 'Succeeded', containerStatuses: [{ name: 'main', state: { terminated: { exitCode: 0 } } }] }

const told = (reason: string, more: object = {}) => ({ conditions: [condition('Running', 'False', reason)], ...more })
const asking = (token: string) => ({ annotations: { 'lamina.dev/start-requested': token } })

const decided = (spec: object, status: object, pod?: object, metadata: object = {}) => {
  const instance = genInstance('dev', { spec, status, metadata })
  const { decision, reviewAtMs } = decide({ instance, pod: pod && genPod('dev', { status: pod }), now: noon })
  return { is: decision.kind === 'rest' ? decision.rest.reason : decision.kind, decision, reviewAtMs }
}

describe('state', () => {
  test('Stopped rests, whatever else is asked', () => {
    expect(decided({ state: 'Stopped' }, {}, ran, asking('now')).is).toBe('Stopped')
    expect(decided({ state: 'Running' }, {}, ran).is).toBe('run')
  })
})

describe('activeDeadlineSeconds: counted from the first start', () => {
  const hour = { activeDeadlineSeconds: 3600 }
  test.each([
    ['an hour and more after', { firstStartTime: '2026-01-01T11:00:00Z' }, 'DeadlineExceeded', undefined],
    ['before that', { firstStartTime: '2026-01-01T11:00:01Z' }, 'run', at('12:00:01')],
    ['not started yet', {}, 'run', undefined],
    [
      'started anew since by request',
      { firstStartTime: '2026-01-01T09:00:00Z', startRequest: { token: 'a', time: '2026-01-01T11:30:00Z' } },
      'run',
      at('12:30:00'),
    ],
  ])('%s', (_, status, is, reviewAtMs) => {
    expect(decided(hour, status, ran)).toMatchObject({ is, reviewAtMs })
  })

  test('what has completed before stays as it completed', () => {
    const status = { firstStartTime: '2026-01-01T10:00:00Z' }
    expect(decided({ ...hour, restartPolicy: 'Never' }, status, completed).is).toBe('run')
    expect(decided({ ...hour, restartPolicy: 'Never' }, { ...status, ...told('Completed') }).is).toBe('run')
  })

  test('that pods end and are made again does not help', () => {
    expect(decided(hour, { firstStartTime: '2026-01-01T10:00:00Z' }, completed).is).toBe('DeadlineExceeded')
  })

  test('a later deadline does not bring it back; none does, and so does a request', () => {
    const past = told('DeadlineExceeded', { firstStartTime: '2026-01-01T11:00:00Z' })
    expect(decided({ activeDeadlineSeconds: 7200 }, past).is).toBe('DeadlineExceeded')
    expect(decided({}, past).is).toBe('run')
    expect(decided(hour, past, undefined, asking('again')).is).toBe('run')
  })

  test('says since when, and how to start it again', () => {
    const { decision } = decided(hour, { firstStartTime: '2026-01-01T11:00:00Z' }, ran)
    expect(decision).toMatchObject({
      rest: {
        message:
          'it has been active since 2026-01-01T11:00:00Z, longer than activeDeadlineSeconds: 3600. To start it again: ' +
          'kubectl annotate -n team --overwrite instance/dev lamina.dev/start-requested="$(date +%s)"',
      },
    })
  })
})

describe('ttlSecondsAfterFinished: counted from the end', () => {
  const never = { restartPolicy: 'Never', ttlSecondsAfterFinished: 60 }
  const finishTime = '2026-01-01T11:59:00Z'
  test.each([
    ['completed', never, told('Completed', { finishTime }), 'expired', undefined],
    ['failed', never, told('Failed', { finishTime }), 'expired', undefined],
    [
      'past its deadline',
      { ...never, restartPolicy: 'Always', activeDeadlineSeconds: 1 },
      told('DeadlineExceeded', { finishTime, firstStartTime: '2026-01-01T11:00:00Z' }),
      'expired',
      undefined,
    ],
    ['at once', { ...never, ttlSecondsAfterFinished: 0 }, told('Completed', { finishTime }), 'expired', undefined],
    ['not yet', { ...never, ttlSecondsAfterFinished: 61 }, told('Completed', { finishTime }), 'run', at('12:00:01')],
    ['not finished', never, told('Started', { finishTime }), 'run', undefined],
    ['stopped as asked', { ...never, state: 'Stopped' }, told('Completed', { finishTime }), 'Stopped', undefined],
  ])('%s', (_, spec, status, is, reviewAtMs) => {
    expect(decided(spec, status)).toMatchObject({ is, reviewAtMs })
  })
})

describe('pods that ended before the one that runs', () => {
  const backoff = { podUID: 'uid-before', count: 2, retryTime: '2026-01-01T11:40:00Z' }
  const running = (startedAt: string) => ({
    phase: 'Running',
    containerStatuses: [{ name: 'main', state: { running: { startedAt } } }],
  })
  test.each<[string, object, object, number | undefined]>([
    ['are forgotten when that has run for ten minutes', { backoff }, running('2026-01-01T11:50:01Z'), at('12:00:01')],
    ['are forgotten by then', { backoff }, running('2026-01-01T11:50:00Z'), undefined],
    ['stay while it has not begun', { backoff }, { phase: 'Pending' }, undefined],
    ['were none', {}, running('2026-01-01T11:50:01Z'), undefined],
  ])('%s', (_, status, pod, reviewAtMs) => {
    expect(decided({}, status, pod)).toMatchObject({ is: 'run', reviewAtMs })
  })
})

describe('the annotation start-requested', () => {
  const completedBefore = { restartPolicy: 'Never', ttlSecondsAfterFinished: 0 }
  const status = told('Completed', { finishTime: '2026-01-01T11:59:00Z', startRequest: { token: 'a', time: '' } })

  test('a new value keeps what has finished from its end; one that was followed does not', () => {
    expect(decided(completedBefore, status, undefined, asking('b')).is).toBe('run')
    expect(decided(completedBefore, status, undefined, asking('a')).is).toBe('expired')
  })

  test('what is asked to start is not at rest: it keeps the overlays that it claims', () => {
    const instance = (token: string) => genInstance('dev', { spec: completedBefore, status, metadata: asking(token) })
    expect(isAtRest(instance('a'))).toBe(true)
    expect(isAtRest(instance('b'))).toBe(false)
  })

  test('an empty one asks nothing, and of a long one the beginning counts', () => {
    expect(decided(completedBefore, status, undefined, asking('')).is).toBe('expired')
    const long = { ...status, startRequest: { token: 'x'.repeat(253), time: '' } }
    expect(decided(completedBefore, long, undefined, asking('x'.repeat(300))).is).toBe('expired')
  })
})
