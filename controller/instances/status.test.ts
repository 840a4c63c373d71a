import { describe, expect, test } from 'vitest'
import type { Instance } from '../../crds/instance.ts'
import { preparedCondition } from '../../kube/names.ts'
import { condition, genInstance, genPod } from '../../test/gen/objects.ts'
import { nextPod } from './lifecycle/next-pod.ts'
import { type Finding, statusAfter } from './status.ts'

const now = new Date('2026-01-01T12:00:00Z')
const told = (finding: Finding, instance = genInstance('dev')) => {
  const { conditions = [] } = statusAfter(instance, { finding }, now)
  return Object.fromEntries(conditions.map(({ type, status, reason }) => [type, `${status} ${reason}`]))
}
const messageOf = (finding: Finding, type: string) =>
  statusAfter(genInstance('dev'), { finding }, now).conditions?.find((each) => each.type === type)?.message
const ofPod = (status: object, instance = genInstance('dev')): Finding => {
  const pod = genPod('dev', { status })
  return { kind: 'pod', pod, drift: { kind: 'none' }, next: nextPod(instance, pod, now) }
}
const mainIs = (state: object, more: object = {}) => ({ containerStatuses: [{ name: 'main', state, ...more }] })
const rest = { reason: 'Stopped', message: '' } as const
const stoppedAsAsked = { kind: 'stopped', rest } as const
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
    ['stopped as asked', stoppedAsAsked, { Ready: 'True Stopped', Running: 'False Stopped' }],
    ['stopping', { kind: 'stopping', pod: genPod('dev'), rest }, { Ready: 'False Stopping', Running: 'True Stopping' }],
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
    const ended = (exitCode: number, phase: string) => ofPod({ phase, ...mainIs({ terminated: { exitCode } }) }, never)
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
    expect(messageOf(failed, 'Ready')).toBe(
      'overlay "work": upper/ is a symbolic link: unknown; the next pod is made at 2026-01-01T12:00:10Z',
    )
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
    const { conditions = [] } = statusAfter(before, { finding: stoppedAsAsked }, now)
    const times = Object.fromEntries(conditions.map(({ type, lastTransitionTime }) => [type, lastTransitionTime]))
    expect(times.Ready).toBe('2025-12-31T00:00:00Z')
    expect(times.Running).toBe('2026-01-01T12:00:00Z')
  })

  test('how the process last ended is kept when its pod is gone', () => {
    const lastTermination = { exitCode: 7, reason: 'Error' }
    const before = genInstance('dev', { status: { lastTermination } })
    expect(statusAfter(before, { finding: stoppedAsAsked }, now).lastTermination).toEqual(lastTermination)
  })

  test('how it ended is told while its pod goes away', () => {
    const pod = genPod('dev', { status: mainIs({ terminated: { exitCode: 137, reason: 'Error' } }) })
    const { lastTermination } = statusAfter(genInstance('dev'), { finding: { kind: 'stopping', pod, rest } }, now)
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
    expect(statusAfter(before, { finding: stoppedAsAsked }, now).pod).toBeUndefined()
  })

  test('an overlay that keeps its base says so', () => {
    const finding: Finding = { kind: 'pod', pod: genPod('dev'), drift: { kind: 'base', from: 'old', to: 'new' } }
    expect(told(finding).UpToDate).toBe('False BaseChanged')
    expect(messageOf(finding, 'UpToDate')).toMatch(/new.*old/)
  })
})

describe('what no trying again mends is Stalled', () => {
  const keptBy = (reason: string) =>
    ofPod({ phase: 'Pending', conditions: [{ type: preparedCondition, status: 'False', reason, message: 'm' }] })

  test.each([
    ['OverlayDamaged', 'OverlaysReady'],
    ['OverlayNotBlank', 'OverlaysReady'],
    ['ImageDigestMismatch', 'ImageReady'],
  ])('the node says %s', (reason, concerned) => {
    expect(told(keptBy(reason))).toMatchObject({ Stalled: `True ${reason}`, [concerned]: `False ${reason}` })
  })

  test.each(['OverlayNoSpace', 'ImageUnauthorized', 'OverlayMissing'])('but not %s', (reason) => {
    expect(told(keptBy(reason))).toMatchObject({ Reconciling: `True ${reason}`, Stalled: 'False None' })
  })

  test('a pod that cannot be, but not one that a quota keeps away', () => {
    const refused = (isInvalid: boolean): Finding => ({ kind: 'podRefused', message: 'm', isInvalid })
    expect(told(refused(true))).toMatchObject({ Stalled: 'True PodInvalid' })
    expect(told(refused(false))).toMatchObject({ Stalled: 'False None', Reconciling: 'True PodRefused' })
  })
})

describe('a start that failed, with restartPolicy Never', () => {
  const unstartable = (message: string) =>
    ofPod({ phase: 'Failed', ...mainIs({ terminated: { exitCode: 128, reason: 'StartError', message } }) })
  const passed = (instance: Instance, finding: Finding): Instance => ({
    ...instance,
    status: statusAfter(instance, { finding }, now),
  })
  const starting = ofPod({ phase: 'Pending' })
  const failedOnce = passed(never, unstartable('lamina: no such program'))

  test('stays told while the next one starts', () => {
    expect(passed(failedOnce, starting)).toEqual(failedOnce)
  })

  test('until that runs, or meets something else', () => {
    const runs = ofPod({
      phase: 'Running',
      ...mainIs({ running: {} }),
      conditions: [{ type: 'Ready', status: 'True' }],
    })
    const unscheduled = ofPod({
      phase: 'Pending',
      conditions: [{ type: 'PodScheduled', status: 'False', message: 'm' }],
    })
    expect(told(runs, failedOnce)).toMatchObject({ Ready: 'True Running' })
    expect(told(unscheduled, failedOnce)).toMatchObject({ Ready: 'False Unschedulable' })
  })

  test('or the node says that what kept it is mended', () => {
    const conditions = [{ type: preparedCondition, status: 'True', reason: 'Prepared' }]
    expect(told(ofPod({ phase: 'Pending', conditions }), failedOnce)).toMatchObject({ Ready: 'False Starting' })
  })

  test('or the spec is changed', () => {
    const edited = { ...failedOnce, metadata: { ...failedOnce.metadata, generation: 2 } }
    expect(told(starting, edited)).toMatchObject({ Ready: 'False Starting' })
  })
})

describe('how a process ended stays told', () => {
  const evicted = ofPod(
    {
      phase: 'Failed',
      reason: 'Evicted',
      message: 'The node was low on resource: memory',
      ...mainIs({ terminated: { exitCode: 0 } }),
    },
    never,
  )

  test('in the words of who ended it, also when its pod is gone', () => {
    const told = { ...never, status: statusAfter(never, { finding: evicted }, now) }
    const { conditions = [] } = statusAfter(told, { finding: { kind: 'finished', drift: { kind: 'none' } } }, now)
    expect(conditions.find(({ type }) => type === 'Ready')?.message).toBe(
      'Evicted: The node was low on resource: memory',
    )
  })

  test('of a pod that a node was drained of, too', () => {
    const drained = ofPod(
      {
        phase: 'Failed',
        ...mainIs({ terminated: { exitCode: 143 } }),
        conditions: [
          {
            type: 'DisruptionTarget',
            status: 'True',
            reason: 'EvictionByEvictionAPI',
            message: 'Eviction API: evicting',
          },
        ],
      },
      never,
    )
    expect(messageOf(drained, 'Ready')).toBe('EvictionByEvictionAPI: Eviction API: evicting')
  })
})

test('a finished instance whose spec has changed since says what applies it', () => {
  const conditions = [condition('Running', 'False', 'Completed')]
  const finished = genInstance('dev', { spec: { restartPolicy: 'Never' }, status: { conditions } })
  const after = statusAfter(finished, { finding: { kind: 'finished', drift: { kind: 'spec' } } }, now)
  expect(after.conditions?.find(({ type }) => type === 'UpToDate')).toMatchObject({
    status: 'False',
    reason: 'RestartRequired',
    message: expect.stringContaining('instance/dev lamina.dev/start-requested='),
  })
})

test('an overlay that is deleted under a running pod is told beside Ready', () => {
  const pod = genPod('dev', {
    status: { phase: 'Running', ...mainIs({ running: {} }), conditions: [{ type: 'Ready', status: 'True' }] },
  })
  const deleted = { reason: 'OverlayDeleted', message: 'm' }
  expect(told({ kind: 'pod', pod, drift: { kind: 'none' }, dataGoing: deleted })).toMatchObject({
    Ready: 'True Running',
    OverlaysReady: 'False OverlayDeleted',
  })
})
