import { describe, expect, test } from 'vitest'
import { genInstance, genPod } from '../../../test/gen/objects.ts'
import { isAtRest } from './at-rest.ts'
import { decide } from './decide.ts'
import { reportWanted } from './idle.ts'
import { idleVerdicts } from './idle-condition.ts'

const noon = new Date('2026-01-01T12:00:00Z')
const words = 'no process by exec, less than 20 thousandths of a core'

const podSeen = (since: string, probe: string, { status = 'True', asked = 'AtChanges', runs = true } = {}) => {
  const told = { type: 'lamina.dev/Idle', status, message: words, lastTransitionTime: since, lastProbeTime: probe }
  const state = runs ? { running: {} } : { waiting: { reason: 'CrashLoopBackOff' } }
  return genPod('dev', {
    metadata: { annotations: { 'lamina.dev/report-idle': asked } },
    status: { phase: 'Running', containerStatuses: [{ name: 'main', state }], conditions: [told] },
  })
}
const eleven = '2026-01-01T11:00:00Z'
const hourLong = (status: object = {}, more: object = {}) =>
  genInstance('dev', { spec: { idleTimeoutSeconds: 3600 }, status, ...more })
const decided = (instance: ReturnType<typeof hourLong>, pod?: ReturnType<typeof podSeen>) => {
  const { decision, reviewAtMs } = decide({ instance, pod, now: noon })
  return { is: decision.kind === 'rest' ? decision.rest.reason : decision.kind, reviewAtMs }
}

describe('an instance that may be idle for an hour', () => {
  test.each([
    ['idle for an hour, as seen when it was over', podSeen(eleven, '2026-01-01T12:00:00Z'), 'Idle', undefined],
    ['idle for less', podSeen('2026-01-01T11:00:01Z', eleven), 'run', Date.parse('2026-01-01T12:00:01Z')],
    ['last seen before the hour was over', podSeen(eleven, '2026-01-01T11:59:59Z'), 'run', undefined],
    ['used', podSeen(eleven, '2026-01-01T12:00:00Z', { status: 'False' }), 'run', undefined],
    ['crashing', podSeen(eleven, '2026-01-01T12:00:00Z', { runs: false }), 'run', undefined],
    ['of which no node has said anything', genPod('dev', { status: { phase: 'Running' } }), 'run', undefined],
    ['without a pod', undefined, 'run', undefined],
  ])('%s', (_, pod, is, reviewAtMs) => {
    expect(decided(hourLong(), pod)).toEqual({ is, reviewAtMs })
  })

  test('a request to start counts as use', () => {
    const status = { startRequest: { token: 'a', time: '2026-01-01T11:30:00Z' } }
    const pod = podSeen(eleven, '2026-01-01T12:00:00Z')
    expect(decided(hourLong(status), pod)).toEqual({ is: 'run', reviewAtMs: Date.parse('2026-01-01T12:30:00Z') })
  })

  test('one that nobody wants stopped is not', () => {
    expect(decided(genInstance('dev'), podSeen(eleven, '2026-01-01T12:00:00Z')).is).toBe('run')
  })
})

describe('one that was stopped for it', () => {
  const idleStop = { idleSince: eleven, stopTime: '2026-01-01T12:00:00Z', seen: words }
  const request = { metadata: { annotations: { 'lamina.dev/start-requested': 'a' } } }
  test.each([
    ['stays stopped, and holds no overlay', hourLong({ idleStop }), 'Idle'],
    ['starts at a request', hourLong({ idleStop }, request), 'run'],
    ['starts when nothing is to stop it any more', genInstance('dev', { status: { idleStop } }), 'run'],
    [
      'stays so when it was started before, by a request of long ago',
      hourLong({ idleStop, startRequest: { token: 'a', time: eleven } }, request),
      'Idle',
    ],
  ])('%s', (_, instance, is) => {
    expect(decided(instance).is).toBe(is)
    expect(isAtRest(instance)).toBe(is === 'Idle')
  })

  test('tells since when, what was seen, and how to go on', () => {
    const { decision } = decide({ instance: hourLong({ idleStop }), pod: undefined, now: noon })
    expect(decision).toMatchObject({
      rest: {
        message: `nobody has used it since ${eleven} (${words}): idleTimeoutSeconds is 3600. To start it again: kubectl annotate -n team --overwrite instance/dev lamina.dev/start-requested="$(date +%s)"`,
      },
    })
  })
})

describe('what the node is asked for', () => {
  test.each([
    ['nothing, without idleTimeoutSeconds', genInstance('dev'), podSeen(eleven, eleven), undefined],
    ['changes', hourLong(), genPod('dev'), 'AtChanges'],
    ['a look at the time of the stop, when that has come', hourLong(), podSeen(eleven, eleven), '2026-01-01T12:00:00Z'],
    [
      'nothing more, when that has been answered',
      hourLong(),
      podSeen(eleven, '2026-01-01T12:00:00Z', { asked: '2026-01-01T12:00:00Z' }),
      '2026-01-01T12:00:00Z',
    ],
  ])('%s', (_, instance, pod, expected) => {
    expect(reportWanted(instance, pod, noon)).toBe(expected)
  })
})

describe('the condition Idle', () => {
  const ofPod = (pod: ReturnType<typeof podSeen>, instance = hourLong()) =>
    idleVerdicts(instance, { kind: 'pod', pod, drift: { kind: 'none' } }).map(
      ({ status, reason, message }) => `${status} ${reason}: ${message}`,
    )
  test.each([
    [
      'idle',
      podSeen('2026-01-01T11:30:00Z', eleven),
      `True NotUsed: ${words}, since 2026-01-01T11:30:00Z: it is stopped when its node sees that at 2026-01-01T12:30:00Z still`,
    ],
    ['used', podSeen(eleven, eleven, { status: 'False' }), `False Used: ${words}`],
    ['not running', podSeen(eleven, eleven, { runs: false }), 'Unknown NotRunning: '],
  ])('%s', (_, pod, expected) => {
    expect(ofPod(pod)).toEqual([expected])
  })

  test('is there only where idleness matters', () => {
    expect(ofPod(podSeen(eleven, eleven), genInstance('dev'))).toEqual([])
  })
})
