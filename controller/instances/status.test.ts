import { describe, expect, test } from 'vitest'
import { condition, genInstance, genPod } from '../../test/gen/objects.ts'
import { type Finding, statusAfter } from './status.ts'

const now = new Date('2026-01-01T12:00:00Z')
const told = (finding: Finding, instance = genInstance('dev')) => {
  const { conditions = [] } = statusAfter(instance, { finding }, now)
  return Object.fromEntries(conditions.map(({ type, status, reason }) => [type, `${status} ${reason}`]))
}
const messageOf = (finding: Finding, type: string) =>
  statusAfter(genInstance('dev'), { finding }, now).conditions?.find((each) => each.type === type)?.message
const ofPod = (status: object): Finding => ({ kind: 'pod', pod: genPod('dev', { status }), drift: { kind: 'none' } })
const mainIs = (state: object, more: object = {}) => ({ containerStatuses: [{ name: 'main', state, ...more }] })
const never = genInstance('dev', { spec: { imageRef: { name: 'i' }, restartPolicy: 'Never' } })

describe('kstatus: Ready means "is as the spec asks", Stalled what no retry can mend', () => {
  test.each<[string, Finding, Record<string, string>]>([
    [
      'a running pod',
      ofPod({ phase: 'Running', ...mainIs({ running: {} }), conditions: [{ type: 'Ready', status: 'True' }] }),
      { Ready: 'True Running', Running: 'True Started', Stalled: 'False None' },
    ],
    [
      'running, with a probe that fails',
      ofPod({
        phase: 'Running',
        ...mainIs({ running: {} }),
        conditions: [{ type: 'Ready', status: 'False', reason: 'ContainersNotReady' }],
      }),
      { Ready: 'False ContainersNotReady', Running: 'True Started', Reconciling: 'True ContainersNotReady' },
    ],
    ['a pod that starts', ofPod({ phase: 'Pending' }), { Ready: 'False Starting', Reconciling: 'True Starting' }],
    [
      'a pod that no node takes',
      ofPod({ phase: 'Pending', conditions: [{ type: 'PodScheduled', status: 'False', message: 'no room' }] }),
      { Ready: 'False Unschedulable' },
    ],
    ['stopped as asked', { kind: 'stopped' }, { Ready: 'True Stopped', Running: 'False Stopped' }],
    ['stopping', { kind: 'stopping', pod: genPod('dev') }, { Ready: 'False Stopping', Running: 'True Stopping' }],
    [
      'a spec that cannot be',
      { kind: 'invalid', message: 'm' },
      { Ready: 'False InvalidSpec', Stalled: 'True InvalidSpec', Reconciling: 'False None' },
    ],
    ['a name that is taken', { kind: 'nameTaken', message: 'm' }, { Stalled: 'True PodNameTaken' }],
    ['our own earlier pod', { kind: 'previousPod', message: 'm' }, { Reconciling: 'True WaitingForPreviousPod' }],
    [
      'image and overlay missing, told together',
      {
        kind: 'blocked',
        image: { reason: 'ImageNotFound', message: 'i' },
        overlays: { reason: 'OverlayNotFound', message: 'o' },
      },
      { ImageReady: 'False ImageNotFound', OverlaysReady: 'False OverlayNotFound', Ready: 'False ImageNotFound' },
    ],
  ])('%s', (_, finding, expected) => {
    expect(told(finding)).toMatchObject(expected)
  })

  test('a finished Never instance is Ready; a failed one Stalled', () => {
    const ended = (exitCode: number, phase: string) => ofPod({ phase, ...mainIs({ terminated: { exitCode } }) })
    expect(told(ended(0, 'Succeeded'), never)).toMatchObject({ Ready: 'True Completed', Stalled: 'False None' })
    expect(told(ended(7, 'Failed'), never)).toMatchObject({ Ready: 'False Failed', Stalled: 'True Failed' })
  })

  test('a start that failed is no end of the process: it is tried again', () => {
    const message = 'failed to create containerd task: … lamina: overlay "work": upper/ is a symbolic link: unknown'
    const failed = ofPod({
      phase: 'Failed',
      ...mainIs({ terminated: { exitCode: 128, reason: 'StartError', message } }),
    })
    expect(told(failed, never)).toMatchObject({
      Ready: 'False StartFailed',
      OverlaysReady: 'False StartFailed',
      Stalled: 'False None',
    })
    expect(messageOf(failed, 'Ready')).toBe('overlay "work": upper/ is a symbolic link: unknown')
  })

  test('of what runc says of a failed start, its own words are told', () => {
    const message =
      'OCI runtime create failed: runc create failed: unable to start container process: exec: "/etc": permission denied'
    const failed = ofPod({
      phase: 'Pending',
      ...mainIs({ terminated: { exitCode: 128, reason: 'StartError', message } }),
    })
    expect(messageOf(failed, 'Ready')).toBe('exec: "/etc": permission denied')
  })

  test.each([
    ['ImageNoSpace', 'ImageReady'],
    ['OverlayDamaged', 'OverlaysReady'],
  ])('the agent’s %s shows in %s', (reason, type) => {
    const pod = ofPod({
      phase: 'Pending',
      conditions: [{ type: 'lamina.dev/Prepared', status: 'False', reason, message: 'words' }],
    })
    expect(told(pod)[type]).toBe(`False ${reason}`)
    expect(messageOf(pod, type)).toBe('words')
  })
})

describe('the rest of the status', () => {
  test('a transition time stays while the status does', () => {
    const before = genInstance('dev', {
      status: { conditions: [condition('Ready', 'True', 'Running', '2025-12-31T00:00:00Z')] },
    })
    const { conditions = [] } = statusAfter(before, { finding: { kind: 'stopped' } }, now)
    const times = Object.fromEntries(conditions.map(({ type, lastTransitionTime }) => [type, lastTransitionTime]))
    expect(times.Ready).toBe('2025-12-31T00:00:00Z')
    expect(times.Running).toBe('2026-01-01T12:00:00Z')
  })

  test('how the process last ended is kept when its pod is gone', () => {
    const lastTermination = { exitCode: 7, reason: 'Error' }
    const before = genInstance('dev', { status: { lastTermination } })
    expect(statusAfter(before, { finding: { kind: 'stopped' } }, now).lastTermination).toEqual(lastTermination)
  })

  test('how it ended is told while its pod goes away', () => {
    const pod = genPod('dev', { status: mainIs({ terminated: { exitCode: 137, reason: 'Error' } }) })
    const { lastTermination } = statusAfter(genInstance('dev'), { finding: { kind: 'stopping', pod } }, now)
    expect(lastTermination).toMatchObject({ exitCode: 137 })
  })

  test.each([
    ['its start failed', { terminated: { exitCode: 128, reason: 'StartError', message: 'lamina: no' } }],
    ['its start failed, without a word', { terminated: { exitCode: 128, reason: 'StartError' } }],
    ['its pod went before it was made', { terminated: { exitCode: 137, reason: 'ContainerStatusUnknown' } }],
  ])('a process that never ran has not ended: %s', (_, state) => {
    const pod = genPod('dev', { status: mainIs(state) })
    const finding: Finding = { kind: 'previousPod', message: 'replaced', pod }
    expect(statusAfter(genInstance('dev'), { finding }, now).lastTermination).toBeUndefined()
    const ranBefore = genInstance('dev', { status: { lastTermination: { exitCode: 7 } } })
    expect(statusAfter(ranBefore, { finding }, now).lastTermination).toEqual({ exitCode: 7 })
  })

  test('a spec that cannot be, under a pod that runs: Stalled, and still Running', () => {
    const status = { phase: 'Running', ...mainIs({ running: {} }), conditions: [{ type: 'Ready', status: 'True' }] }
    const finding: Finding = { kind: 'pod', pod: genPod('dev', { status }), drift: { kind: 'invalid', message: 'm' } }
    expect(told(finding)).toMatchObject({
      Stalled: 'True InvalidSpec',
      Running: 'True Started',
      UpToDate: 'False InvalidSpec',
    })
  })

  test('the grant goes with the pod', () => {
    const before = genInstance('dev', { status: { pod: { name: 'dev', uid: 'u' } } })
    expect(statusAfter(before, { finding: { kind: 'stopped' } }, now).pod).toBeUndefined()
  })

  test('an overlay that keeps its base says so', () => {
    const finding: Finding = { kind: 'pod', pod: genPod('dev'), drift: { kind: 'base', from: 'old', to: 'new' } }
    expect(told(finding).UpToDate).toBe('False BaseChanged')
    expect(messageOf(finding, 'UpToDate')).toMatch(/new.*old/)
  })
})
