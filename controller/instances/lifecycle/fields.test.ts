import { describe, expect, test } from 'vitest'
import { genInstance, genPod } from '../../../test/gen/objects.ts'
import type { Finding } from '../status.ts'
import { lifecycleFields } from './fields.ts'
import type { NextPod } from './next-pod.ts'

const now = new Date('2026-01-01T12:00:00Z')
const backoff = { podUID: 'uid-dev', count: 2, retryTime: '2026-01-01T11:50:00Z' }
const before = {
  firstStartTime: '2026-01-01T08:00:00Z',
  finishTime: '2026-01-01T09:00:00Z',
  backoff,
  startRequest: { token: 'a', time: '2026-01-01T07:00:00Z' },
}
const podIs = (state: object, next: NextPod = { kind: 'notEnded' }): Finding => ({
  kind: 'pod',
  pod: genPod('dev', { status: { containerStatuses: [{ name: 'main', state }] } }),
  drift: { kind: 'none' },
  next,
})
const running = (startedAt: string) => podIs({ running: { startedAt } })
const finished: Finding = { kind: 'finished', drift: { kind: 'none' } }
const rest = (reason: 'Stopped' | 'DeadlineExceeded'): Finding => ({ kind: 'stopped', rest: { reason, message: '' } })
const fieldsAfter = (finding: Finding, status: object = before, metadata: object = {}) =>
  lifecycleFields(genInstance('dev', { status, metadata }), finding, now)

describe('firstStartTime', () => {
  test('is the first of many, and forgotten when it is stopped as asked', () => {
    expect(fieldsAfter(running('2026-01-01T11:00:00Z'), {}).firstStartTime).toBe('2026-01-01T11:00:00Z')
    expect(fieldsAfter(running('2026-01-01T11:00:00Z')).firstStartTime).toBe('2026-01-01T08:00:00Z')
    expect(fieldsAfter(rest('DeadlineExceeded')).firstStartTime).toBe('2026-01-01T08:00:00Z')
    expect(fieldsAfter(rest('Stopped')).firstStartTime).toBeUndefined()
  })
})

describe('finishTime', () => {
  const ended = podIs({ terminated: { exitCode: 0, finishedAt: '2026-01-01T11:00:00Z' } }, { kind: 'none' })
  test.each<[string, Finding, string | undefined]>([
    ['the end of its process', ended, '2026-01-01T11:00:00Z'],
    ['kept while it stays finished', finished, '2026-01-01T09:00:00Z'],
    ['kept while it stays past its deadline', rest('DeadlineExceeded'), '2026-01-01T09:00:00Z'],
    ['gone when it runs again', running('2026-01-01T11:00:00Z'), undefined],
    ['gone when it is stopped', rest('Stopped'), undefined],
  ])('%s', (_, finding, expected) => {
    expect(fieldsAfter(finding).finishTime).toBe(expected)
  })

  test('now, where nothing else tells', () => {
    expect(fieldsAfter(rest('DeadlineExceeded'), {}).finishTime).toBe('2026-01-01T12:00:00Z')
  })
})

describe('backoff', () => {
  const due = { ...backoff, count: 3 }
  test.each<[string, Finding, object | undefined]>([
    ['of a pod that ended', podIs({}, { kind: 'due', backoff: due }), due],
    ['kept while another starts', { kind: 'previousPod', message: 'm' }, backoff],
    ['kept while that runs', running('2026-01-01T11:50:01Z'), backoff],
    ['forgotten when that has run for ten minutes', running('2026-01-01T11:50:00Z'), undefined],
    ['forgotten when it is stopped', rest('Stopped'), undefined],
  ])('%s', (_, finding, expected) => {
    expect(fieldsAfter(finding).backoff).toEqual(expected)
  })
})

describe('startRequest', () => {
  test('is told with the time when it is new, and forgets what failed before', () => {
    const asked = fieldsAfter(finished, before, { annotations: { 'lamina.dev/start-requested': 'b' } })
    expect(asked.startRequest).toEqual({ token: 'b', time: '2026-01-01T12:00:00Z' })
    expect(asked.backoff).toBeUndefined()
  })

  test('stays as it was told, also when the annotation has gone', () => {
    expect(fieldsAfter(finished).startRequest).toEqual(before.startRequest)
  })
})
