import { describe, expect, test } from 'vitest'
import type { InstanceStatus } from '../../../crds/instance.ts'
import { createManualClock } from '../../../kube/testing/manual-clock.ts'
import { genInstance, genPod } from '../../../test/gen/objects.ts'
import { nextPod, retryWords } from './next-pod.ts'

const noon = new Date('2026-01-01T12:00:00Z')
const main = (state: object) => ({ containerStatuses: [{ name: 'main', state }] })
const exited = (exitCode: number, reason = 'Error') => main({ terminated: { exitCode, reason } })
const evicted = { phase: 'Failed', reason: 'Evicted', ...exited(137) }
const crashed = { phase: 'Failed', ...exited(1) }
const completed = { phase: 'Succeeded', ...exited(0, 'Completed') }
const unstarted = { phase: 'Failed', ...main({ terminated: { exitCode: 128, reason: 'StartError', message: 'no' } }) }
const refused = { phase: 'Failed', reason: 'OutOfcpu' }
const lost = { phase: 'Failed', reason: 'NodeLost', ...main({ running: { startedAt: '2026-01-01T11:00:00Z' } }) }
const running = { phase: 'Running', ...main({ running: {} }) }

describe('whether another pod follows one that ended', () => {
  test.each([
    ['Always', { completed: 'due', crashed: 'due', evicted: 'due', lost: 'due', unstarted: 'due', refused: 'due' }],
    ['OnFailure', { completed: 'none', crashed: 'due', evicted: 'due', lost: 'due', unstarted: 'due', refused: 'due' }],
    ['Never', { completed: 'none', crashed: 'none', evicted: 'none', lost: 'none', unstarted: 'due', refused: 'due' }],
  ])('%s', (restartPolicy, expected) => {
    const instance = genInstance('dev', { spec: { restartPolicy } })
    const ends = { completed, crashed, evicted, lost, unstarted, refused }
    const kinds = Object.entries(ends).map(([name, status]) => {
      const { kind } = nextPod(instance, genPod('dev', { status }), noon)
      return [name, kind]
    })
    expect(Object.fromEntries(kinds)).toEqual(expected)
    expect(nextPod(instance, genPod('dev', { status: running }), noon).kind).toBe('notEnded')
  })
})

describe('when it follows', () => {
  /** Pods that end one after the other, each after it ran for so many seconds: what is waited after each. */
  const waits = async (ranSeconds: readonly number[]) => {
    const clock = createManualClock(noon.getTime())
    let backoff: InstanceStatus['backoff']
    const waited: number[] = []
    for (const [index, seconds] of ranSeconds.entries()) {
      const startedAt = clock.now().toISOString()
      await clock.advance(seconds * 1000)
      const end = main({ terminated: { exitCode: 1, startedAt, finishedAt: clock.now().toISOString() } })
      const pod = genPod('dev', { metadata: { uid: `pod-${index}` }, status: { phase: 'Failed', ...end } })
      const next = nextPod(genInstance('dev', { status: backoff ? { backoff } : {} }), pod, clock.now())
      if (next.kind !== 'due') throw new Error(next.kind)
      backoff = next.backoff
      waited.push((Date.parse(backoff.retryTime) - clock.now().getTime()) / 1000)
      await clock.advance(Date.parse(backoff.retryTime) - clock.now().getTime())
    }
    return waited
  }

  test('after 10 s, then twice as long each time, up to five minutes', async () => {
    expect(await waits([1, 1, 1, 1, 1, 1, 1])).toEqual([10, 20, 40, 80, 160, 300, 300])
  })

  test('a pod that ran for ten minutes was well: it begins anew', async () => {
    expect(await waits([1, 1, 1, 599, 600, 1])).toEqual([10, 20, 40, 80, 10, 20])
  })

  test('asked again of the same pod, also by another controller, nothing is counted anew', () => {
    const backoff = { podUID: 'uid-dev', count: 3, retryTime: '2026-01-01T12:00:40Z' }
    const later = new Date('2026-01-01T12:00:39Z')
    const pod = genPod('dev', { status: crashed })
    expect(nextPod(genInstance('dev', { status: { backoff } }), pod, later)).toEqual({ kind: 'due', backoff })
  })

  test('a start that failed has not run since 1970, as its kubelet has it', () => {
    const state = {
      terminated: { exitCode: 128, reason: 'StartError', message: 'no', startedAt: '1970-01-01T00:00:00Z' },
    }
    const pod = genPod('dev', { metadata: { uid: 'new' }, status: { phase: 'Failed', ...main(state) } })
    const status = { backoff: { podUID: 'old', count: 3, retryTime: '2026-01-01T11:00:00Z' } }
    expect(nextPod(genInstance('dev', { status }), pod, noon)).toMatchObject({ backoff: { count: 4 } })
  })

  test('in words', () => {
    expect(retryWords({ podUID: '', count: 1, retryTime: 'T' })).toBe('the next pod is made at T')
    expect(retryWords({ podUID: '', count: 4, retryTime: 'T' })).toBe(
      'the next pod is made at T; 4 pods in a row have ended by themselves',
    )
  })
})
