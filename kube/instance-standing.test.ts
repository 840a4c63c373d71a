import { describe, expect, test } from 'vitest'
import { type Instance, instanceSchema } from '../crds/instance.ts'
import { standingOf, stateWord, wakeOf } from './instance-standing.ts'

type Told = [type: string, status: 'True' | 'False' | 'Unknown', reason: string, message?: string]

const instance = (
  told: Told[],
  {
    spec = {},
    status = {},
    annotations = {},
    generation = 1,
  }: { spec?: object; status?: object; annotations?: object; generation?: number } = {},
): Instance =>
  instanceSchema.parse({
    metadata: { name: 'dev', namespace: 'n', generation, annotations },
    spec: { imageRef: { name: 'debian' }, ...spec },
    status: {
      observedGeneration: 1,
      conditions: told.map(([type, value, reason, message = '']) => ({
        type,
        status: value,
        reason,
        message,
        lastTransitionTime: '2026-01-01T00:00:00Z',
      })),
      ...status,
    },
  })

const running: Told[] = [
  ['Ready', 'True', 'Running'],
  ['Running', 'True', 'Started'],
]
const stopped: Told[] = [
  ['Ready', 'True', 'Stopped'],
  ['Running', 'False', 'Stopped'],
]
const idle: Told[] = [
  ['Ready', 'True', 'Idle', 'nobody has used it'],
  ['Running', 'False', 'Idle', 'nobody has used it'],
]
const failed: Told[] = [
  ['Ready', 'False', 'Failed', 'exit code 7'],
  ['Stalled', 'True', 'Failed'],
  ['Running', 'False', 'Failed', 'exit code 7'],
]
const overlayInUse: Told[] = [
  ['Ready', 'False', 'OverlayInUse', 'overlay "dev" is in use'],
  ['Stalled', 'False', 'None'],
  ['Running', 'False', 'OverlayInUse'],
]
const damaged: Told[] = [
  ['Ready', 'False', 'OverlayDamaged', 'overlay "dev" has errors'],
  ['Stalled', 'True', 'OverlayDamaged'],
  ['Running', 'False', 'OverlayDamaged'],
]

describe('how an instance stands', () => {
  test('it runs', () => {
    expect(standingOf(instance(running))).toEqual({ kind: 'running' })
  })

  test('one that has just been made, or changed, is waited for: the status is of before', () => {
    expect(standingOf(instance([])).kind).toBe('waiting')
    expect(standingOf(instance(stopped, { generation: 2 })).kind).toBe('waiting')
  })

  test('one that is ending does not run any more', () => {
    const ending = instance(
      [
        ['Ready', 'False', 'Stopping', 'the pod is ending'],
        ['Running', 'True', 'Stopping'],
      ],
      { spec: { state: 'Stopped' } },
    )
    expect(standingOf(ending).kind).toBe('waiting')
  })

  test('a request to start that nobody has seen yet is waited for', () => {
    const annotations = { 'lamina.dev/start-requested': 'now' }
    expect(standingOf(instance(idle, { annotations })).kind).toBe('waiting')
    expect(standingOf(instance(idle, { annotations, status: { startRequest: { token: 'now', time: '' } } })).kind).toBe(
      'atRest',
    )
  })

  test('what waits for others goes on by itself; what is damaged does not', () => {
    expect(standingOf(instance(overlayInUse))).toMatchObject({ kind: 'waiting', reason: 'OverlayInUse' })
    expect(standingOf(instance(damaged))).toMatchObject({ kind: 'hopeless', message: 'overlay "dev" has errors' })
  })

  test('one that has failed tells its exit code', () => {
    const once = instance(failed, { spec: { restartPolicy: 'Never' }, status: { lastTermination: { exitCode: 7 } } })
    expect(standingOf(once)).toEqual({ kind: 'ended', exitCode: 7, message: 'exit code 7' })
    expect(stateWord(once)).toBe('Failed (7)')
  })
})

test('what starts one: its state, where it is Stopped; a request, where it rests or has ended; else nothing', () => {
  expect(wakeOf(instance(stopped, { spec: { state: 'Stopped' } }))).toBe('state')
  expect(wakeOf(instance(idle))).toBe('request')
  expect(wakeOf(instance(failed, { spec: { restartPolicy: 'Never' } }))).toBe('request')
  expect(wakeOf(instance(running))).toBe('nothing')
  expect(wakeOf(instance(overlayInUse))).toBe('nothing')
})

test('a word for lists', () => {
  expect([running, stopped, idle, overlayInUse].map((told) => stateWord(instance(told)))).toEqual([
    'Running',
    'Stopped',
    'Idle',
    'OverlayInUse',
  ])
  expect(stateWord(instance([]))).toBe('Pending')
})
