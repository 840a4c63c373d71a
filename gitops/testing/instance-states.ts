import { nextPod } from '../../controller/instances/lifecycle/next-pod.ts'
import type { AboutPod } from '../../controller/instances/of-pod.ts'
import type { ServiceFinding } from '../../controller/instances/service/ensure.ts'
import { type Drift, type Finding, statusAfter } from '../../controller/instances/status.ts'
import type { Instance } from '../../crds/instance.ts'
import { preparedCondition } from '../../kube/names.ts'
import { condition, genInstance, genPod } from '../../test/gen/objects.ts'
import type { Kstatus } from './kstatus.ts'
import type { Health } from './run-health.ts'
import { failingOf, now, type State, unseenMessage } from './states.ts'

const name = 'dev'
const always = genInstance(name)
const never = genInstance(name, { spec: { restartPolicy: 'Never' } })
const stopped = genInstance(name, { spec: { state: 'Stopped' } })
const asAsked = { reason: 'Stopped', message: '' } as const
const sleepy = genInstance(name, { spec: { idleTimeoutSeconds: 3600 } })
const idleStop = { idleSince: '2026-01-01T11:00:00Z', stopTime: '2026-01-01T12:00:00Z', seen: 'no process by exec' }
const failedBefore = genInstance(name, {
  spec: { restartPolicy: 'Never' },
  status: { lastTermination: { exitCode: 7 }, conditions: [condition('Running', 'False', 'Failed')] },
})
const completedBefore = genInstance(name, {
  spec: { restartPolicy: 'Never' },
  status: { lastTermination: { exitCode: 0 }, conditions: [condition('Running', 'False', 'Completed')] },
})

const told = (
  state: string,
  [finding, instance = always]: [Finding, Instance?],
  kstatus: Kstatus,
  health: Health,
): State => ({
  ...{ kind: 'Instance', name: state, kstatus, health },
  object: { ...instance, status: statusAfter(instance, { finding }, now) },
})

/** One that runs, without the Service that it asks for. */
const unserved = (state: string, service: ServiceFinding, kstatus: Kstatus, seen: Health): State => ({
  ...{ kind: 'Instance', name: state, kstatus, health: seen },
  object: { ...always, status: statusAfter(always, { finding: podOf(runs), service }, now) },
})

const podOf = (status: object, drift: Drift = { kind: 'none' }, about: AboutPod = {}, instance = always): Finding => {
  const pod = genPod(name, { spec: { nodeName: 'n1' }, status })
  return { kind: 'pod', pod, drift, next: nextPod(instance, pod, now), ...about }
}
const mainIs = (state: object, more: object = {}) => ({ containerStatuses: [{ name: 'main', state, ...more }] })
const runs = { phase: 'Running', ...mainIs({ running: {} }), conditions: [{ type: 'Ready', status: 'True' }] }
const unprepared = (reason: string, message: string) =>
  podOf({ phase: 'Pending', conditions: [{ type: preparedCondition, status: 'False', reason, message }] })
const ended = (phase: string, exitCode: number) =>
  podOf({ phase, ...mainIs({ terminated: { exitCode } }) }, { kind: 'none' }, {}, never)

const health = (status: Health['status']) => (message: string) => ({ status, message })
const healthy = health('Healthy')
const progressing = health('Progressing')
const degraded = health('Degraded')

const ofPods: State[] = [
  told('running', [podOf(runs)], 'Current', healthy('Running')),
  told('starting', [podOf({ phase: 'Pending' })], 'InProgress', progressing('Starting: the pod is starting')),
  told(
    'unschedulable',
    [podOf({ phase: 'Pending', conditions: [{ type: 'PodScheduled', status: 'False', message: 'no room' }] })],
    'InProgress',
    progressing('Unschedulable: no room'),
  ),
  told(
    'restarting',
    [podOf({ phase: 'Running', ...mainIs({ terminated: { exitCode: 3 } }) })],
    'InProgress',
    progressing('Restarting: exit code 3; it is started again'),
  ),
  told(
    'fetchingImage',
    [unprepared('ImagePending', '10 of 50 MB')],
    'InProgress',
    progressing('ImagePending: 10 of 50 MB'),
  ),
  told(
    'overlayDamaged',
    [unprepared('OverlayDamaged', 'overlay "work": e2fsck -p leaves it to you')],
    'Failed',
    degraded('OverlayDamaged: overlay "work": e2fsck -p leaves it to you'),
  ),
  told(
    'overlayMissing',
    [unprepared('OverlayMissing', 'there is no my.img in the volume')],
    'InProgress',
    degraded('OverlayMissing: there is no my.img in the volume'),
  ),
  told(
    'probeFails',
    [
      podOf({
        ...runs,
        conditions: [{ type: 'Ready', status: 'False', reason: 'ContainersNotReady', message: 'main' }],
      }),
    ],
    'InProgress',
    progressing('ContainersNotReady: main'),
  ),
  told(
    'startFailed',
    [
      podOf({
        phase: 'Running',
        ...mainIs(
          { waiting: { reason: 'CrashLoopBackOff', message: 'back-off' } },
          {
            lastState: {
              terminated: { exitCode: 128, reason: 'StartError', message: 'lamina: overlay "work" is busy' },
            },
          },
        ),
      }),
    ],
    'InProgress',
    degraded('StartFailed: overlay "work" is busy'),
  ),
  told(
    'crashes',
    [podOf({ phase: 'Running', ...mainIs({ waiting: { reason: 'CrashLoopBackOff', message: 'back-off 40s' } }) })],
    'InProgress',
    degraded('CrashLoopBackOff: back-off 40s'),
  ),
  told(
    'evicted',
    [podOf({ phase: 'Failed', reason: 'Evicted', message: 'disk pressure' })],
    'InProgress',
    progressing('PodFailed: Evicted: disk pressure; the next pod is made at 2026-01-01T12:00:10Z'),
  ),
  told('completed', [ended('Succeeded', 0), never], 'Current', healthy('Completed: exit code 0')),
  told('failed', [ended('Failed', 7), never], 'Failed', degraded('Failed: exit code 7')),
  told(
    'restartRequired',
    [podOf(runs, { kind: 'spec' })],
    'Current',
    healthy(
      'Running; RestartRequired: the spec or its image has changed since the pod was made: delete the pod to apply it',
    ),
  ),
  told(
    'baseChanged',
    [podOf(runs, { kind: 'base', from: 'debian@old', to: 'debian@new' })],
    'Current',
    healthy(
      'Running; BaseChanged: the image is now debian@new, but the overlay lies upon debian@old and stays on that until it is told to follow it (spec.overlays[].base)',
    ),
  ),
  told(
    'overlayDeleted',
    [podOf(runs, { kind: 'none' }, { dataGoing: { reason: 'OverlayDeleted', message: 'work has been deleted' } })],
    'Current',
    healthy('Running; OverlayDeleted: work has been deleted'),
  ),
  unserved(
    'serviceNameTaken',
    { kind: 'taken', message: 'delete Service dev' },
    'Failed',
    degraded('ServiceNameTaken: delete Service dev'),
  ),
  unserved(
    'serviceInvalid',
    { kind: 'invalid', message: 'it must start with a letter' },
    'Failed',
    degraded('ServiceInvalid: it must start with a letter'),
  ),
  unserved(
    'serviceRefused',
    { kind: 'refused', message: 'exceeded quota: services' },
    'InProgress',
    degraded('ServiceRefused: exceeded quota: services'),
  ),
  told(
    'editedToBeInvalid',
    [podOf(runs, { kind: 'invalid', message: 'env is set twice' })],
    'Failed',
    degraded('InvalidSpec: env is set twice'),
  ),
]

/** Each finding of a pass, at least once. */
export const instanceFindings = {
  pod: ofPods,
  invalid: [
    told(
      'invalid',
      [{ kind: 'invalid', message: 'env is set twice' }],
      'Failed',
      degraded('InvalidSpec: env is set twice'),
    ),
  ],
  nameTaken: [
    told(
      'nameTaken',
      [{ kind: 'nameTaken', message: 'delete pod dev' }],
      'Failed',
      degraded('PodNameTaken: delete pod dev'),
    ),
  ],
  previousPod: [
    told(
      'previousPod',
      [{ kind: 'previousPod', message: 'pod dev is ending' }],
      'InProgress',
      progressing('WaitingForPreviousPod: pod dev is ending'),
    ),
  ],
  blocked: [
    told(
      'imageMissing',
      [{ kind: 'blocked', image: { reason: 'ImageNotFound', message: 'there is no ContainerImage "debian"' } }],
      'InProgress',
      progressing('ImageNotFound: there is no ContainerImage "debian"'),
    ),
    told(
      'overlayInUse',
      [{ kind: 'blocked', overlays: { reason: 'OverlayInUse', message: 'instance other has it' } }],
      'InProgress',
      progressing('OverlayInUse: instance other has it'),
    ),
  ],
  podRefused: [
    told(
      'podRefused',
      [{ kind: 'podRefused', message: 'exceeded quota: pods', isInvalid: false }],
      'InProgress',
      degraded('PodRefused: exceeded quota: pods'),
    ),
    told(
      'podInvalid',
      [{ kind: 'podRefused', message: 'spec.hostname: Invalid value', isInvalid: true }],
      'Failed',
      degraded('PodInvalid: spec.hostname: Invalid value'),
    ),
  ],
  stopping: [
    told(
      'stopping',
      [{ kind: 'stopping', pod: genPod(name), rest: asAsked }, stopped],
      'InProgress',
      progressing('Stopping: the pod is ending'),
    ),
  ],
  stopped: [
    told('stopped', [{ kind: 'stopped', rest: asAsked }, stopped], 'Current', health('Suspended')('Stopped')),
    told(
      'idle',
      [{ kind: 'stopped', rest: { reason: 'Idle', message: 'nobody has used it since noon', idleStop } }, sleepy],
      'Current',
      health('Suspended')('Idle: nobody has used it since noon'),
    ),
    told(
      'pastDeadline',
      [{ kind: 'stopped', rest: { reason: 'DeadlineExceeded', message: 'active since yesterday' } }],
      'Failed',
      degraded('DeadlineExceeded: active since yesterday'),
    ),
  ],
  finished: [
    told(
      'completedLongAgo',
      [{ kind: 'finished', drift: { kind: 'none' } }, completedBefore],
      'Current',
      healthy('Completed: exit code 0'),
    ),
    told(
      'failedLongAgo',
      [{ kind: 'finished', drift: { kind: 'none' } }, failedBefore],
      'Failed',
      degraded('Failed: exit code 7'),
    ),
  ],
} satisfies Record<Finding['kind'], State[]>

export const failingInstance: State = failingOf('Instance', always, statusAfter(always, { finding: podOf(runs) }, now))

const unseen = (state: string, object: Instance): State => ({
  ...{ kind: 'Instance', name: state, kstatus: 'InProgress', object },
  health: progressing(unseenMessage),
})

/** Between two passes. */
export const unseenInstances: State[] = [
  unseen('created', genInstance(name, { status: { observedGeneration: -1 } })),
  unseen(
    'edited',
    genInstance(name, {
      metadata: { generation: 2 },
      status: statusAfter(always, { finding: podOf(runs) }, now),
    }),
  ),
]
