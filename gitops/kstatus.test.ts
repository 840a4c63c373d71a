import { describe, expect, test } from 'vitest'
import { type Finding, statusAfter } from '../controller/instances/status.ts'
import type { Condition } from '../crds/common.ts'
import { containerImageSchema } from '../crds/container-image.ts'
import { instanceSchema } from '../crds/instance.ts'
import { persistentOverlaySchema } from '../crds/persistent-overlay.ts'
import { preparedCondition } from '../kube/names.ts'
import { nodeReasons } from '../kube/node-reasons.ts'
import { genInstance, genPod } from '../test/gen/objects.ts'
import { findings, unseen } from './generate.ts'
import { kstatusOf } from './testing/kstatus.ts'
import { now, type State } from './testing/states.ts'

const schemas = {
  ContainerImage: containerImageSchema,
  PersistentOverlay: persistentOverlaySchema,
  Instance: instanceSchema,
}
const stored = ({ kind, object }: State) => schemas[kind].parse(object)
const podStatus = ({
  phase,
  prepared,
  startError,
  exitCode,
}: {
  phase: string
  /** Why the node keeps it. */
  prepared?: string
  startError?: string
  exitCode?: number
}) => ({
  phase,
  conditions: [
    ...(phase === 'Running' ? [{ type: 'Ready', status: 'True' }] : []),
    ...(prepared === undefined ? [] : [{ type: preparedCondition, status: 'False', reason: prepared, message: 'm' }]),
  ],
  containerStatuses: [
    ...(phase === 'Running' ? [{ name: 'main', state: { running: {} } }] : []),
    ...(startError === undefined
      ? []
      : [{ name: 'main', state: { terminated: { exitCode: 128, reason: 'StartError', message: startError } } }]),
    ...(exitCode === undefined ? [] : [{ name: 'main', state: { terminated: { exitCode } } }]),
  ],
})
const conditionsOf = (state: State): Condition[] => stored(state).status.conditions ?? []
const named = (states: readonly State[]) => states.map((state) => ({ ...state, state }))

describe('what kstatus sees', () => {
  test.each(named([...findings, ...unseen]))('$kind $name: $kstatus', ({ state, kstatus }) => {
    expect(kstatusOf(stored(state))).toBe(kstatus)
  })

  test.each(named(findings))('$kind $name, being deleted: Terminating', ({ object }) => {
    const metadata = { ...object.metadata, deletionTimestamp: '2026-01-01T12:00:00Z' }
    expect(kstatusOf({ ...object, metadata })).toBe('Terminating')
  })

  test.each(named(findings))('$kind $name, edited since: InProgress', ({ object }) => {
    expect(kstatusOf({ ...object, metadata: { ...object.metadata, generation: 2 } })).toBe('InProgress')
  })
})

describe('after any pass, whatever it came to', () => {
  test.each(named(findings))('$kind $name', ({ state }) => {
    const { metadata, status } = stored(state)
    expect(status.observedGeneration).toBe(metadata.generation)
    const conditions = conditionsOf(state)
    const ours = ['Ready', 'Reconciling', 'Stalled'].map((type) => conditions.find((each) => each.type === type))
    expect(
      ours.filter((each) => each?.status === 'True'),
      'exactly one of Ready, Reconciling and Stalled is True',
    ).toHaveLength(1)
    for (const each of ours) expect(each).toMatchObject({ reason: expect.stringMatching(/^[A-Z][A-Za-z]+$/) })
    expect(conditions.every(({ observedGeneration }) => observedGeneration === metadata.generation)).toBe(true)
  })
})

/** What ends each state that is InProgress. One that nothing ends would have tools wait for ever: it is Stalled. */
const ends: Record<State['kind'], Record<string, string>> = {
  ContainerImage: {
    RegistryUnreachable: 'the next look',
    ImageNotFound: 'a push, and the next look',
    ImageUnauthorized: 'a pull secret, and the next look',
    ReconcileError: 'the next pass',
  },
  PersistentOverlay: {
    Provisioning: 'the provisioner',
    ProvisioningFailed: 'the provisioner, which tries again',
    ClaimRefused: 'another quota, and the next look',
    ClaimNotFound: 'the claim, which may come later than the overlay',
    WaitingForPreviousClaim: 'its deletion, which is under way',
    ReconcileError: 'the next pass',
  },
  Instance: {
    Starting: 'the kubelet',
    Restarting: 'the kubelet',
    ImagePending: 'the node, which fetches it',
    Unschedulable: 'room on a node',
    ContainersNotReady: 'the probe',
    OverlayMissing: 'the file, which somebody may still put there',
    StartFailed: 'the next start',
    CrashLoopBackOff: 'the next start',
    PodFailed: 'another pod',
    WaitingForPreviousPod: 'its end',
    ImageNotFound: 'the ContainerImage, which may come later than the instance',
    OverlayInUse: 'its release',
    PodRefused: 'another quota, and the next try',
    ServiceRefused: 'another quota, and the next look',
    Stopping: 'the grace period',
    ReconcileError: 'the next pass',
  },
}

test('every state that tools wait for has an end', () => {
  const waiting = findings.filter(({ kstatus }) => kstatus === 'InProgress')
  const endless = waiting.filter((state) => {
    const reason = conditionsOf(state).find(({ type }) => type === 'Ready')?.reason ?? ''
    return ends[state.kind][reason] === undefined
  })
  expect(endless.map(({ kind, name }) => `${kind} ${name}`)).toEqual([])
})

describe('what a node says of a pod that it keeps', () => {
  test.each(Object.entries(nodeReasons))('%s: %s', (reason, mending) => {
    const pod = genPod('dev', { status: podStatus({ phase: 'Pending', prepared: reason }) })
    const status = statusAfter(genInstance('dev'), { finding: { kind: 'pod', pod, drift: { kind: 'none' } } }, now)
    expect(kstatusOf({ metadata: { generation: 1 }, status })).toBe(mending === 'hopeless' ? 'Failed' : 'InProgress')
  })
})

describe('from pass to pass no tool sees it flap', () => {
  const never = genInstance('dev', { spec: { restartPolicy: 'Never' } })
  const pod = (given: Parameters<typeof podStatus>[0]): Finding => ({
    ...{ kind: 'pod', pod: genPod('dev', { status: podStatus(given) }), drift: { kind: 'none' } },
  })
  const starting = pod({ phase: 'Pending' })
  const refused = pod({ phase: 'Failed', startError: 'lamina: no such program' })
  const refusedBy = (reason: string) => pod({ phase: 'Failed', startError: `lamina: ${reason}`, prepared: reason })
  const runs = pod({ phase: 'Running' })

  test.each<[string, Finding[], string[]]>([
    [
      'a start that fails, again and again',
      [starting, refused, starting, refused, starting, runs],
      ['InProgress Starting', 'InProgress StartFailed', 'Current Running'],
    ],
    [
      'a start that no trying again mends, until somebody has mended it',
      [starting, refusedBy('OverlayDamaged'), starting, refusedBy('OverlayDamaged'), starting, runs],
      ['InProgress Starting', 'Failed OverlayDamaged', 'Current Running'],
    ],
    [
      'a start that fails of one thing, and then of another',
      [starting, refusedBy('OverlayNoSpace'), starting, refusedBy('OverlayDamaged')],
      ['InProgress Starting', 'InProgress OverlayNoSpace', 'Failed OverlayDamaged'],
    ],
    [
      'a process that ends, and whose pod is removed',
      [starting, runs, pod({ phase: 'Failed', exitCode: 7 }), { kind: 'finished', drift: { kind: 'none' } }],
      ['InProgress Starting', 'Current Running', 'Failed Failed'],
    ],
  ])('%s', (_, passes, expected) => {
    let instance = never
    const seen = passes.map((finding) => {
      instance = { ...instance, status: statusAfter(instance, { finding }, now) }
      const ready = instance.status.conditions?.find(({ type }) => type === 'Ready')
      return `${kstatusOf(instance)} ${ready?.reason}`
    })
    expect(seen.filter((each, index) => each !== seen[index - 1])).toEqual(expected)
  })
})

test('Argo CD says nothing worse or better than kstatus, but of what waits for somebody', () => {
  const same = { InProgress: 'Progressing', Failed: 'Degraded', Current: 'Healthy', Terminating: 'Progressing' }
  const other = [...findings, ...unseen]
    .filter(({ kstatus, health }) => same[kstatus] !== health.status)
    .map(({ kind, name, kstatus, health }) => `${kind} ${name}: ${kstatus}, ${health.status}`)
  expect(other.toSorted()).toEqual([
    'ContainerImage noSuchImage: InProgress, Degraded',
    'ContainerImage unauthorized: InProgress, Degraded',
    'Instance crashes: InProgress, Degraded',
    'Instance idle: Current, Suspended',
    'Instance overlayMissing: InProgress, Degraded',
    'Instance podRefused: InProgress, Degraded',
    'Instance serviceRefused: InProgress, Degraded',
    'Instance startFailed: InProgress, Degraded',
    'Instance stopped: Current, Suspended',
    'PersistentOverlay claimRefused: InProgress, Degraded',
    'PersistentOverlay damaged: Current, Degraded',
    'PersistentOverlay errorsNoted: Current, Degraded',
  ])
})
