import type { AboutPod } from '../../controller/instances/of-pod.ts'
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

const podOf = (status: object, drift: Drift = { kind: 'none' }, about: AboutPod = {}): Finding => ({
  ...{ kind: 'pod', pod: genPod(name, { spec: { nodeName: 'n1' }, status }), drift },
  ...about,
})
const mainIs = (state: object, more: object = {}) => ({ containerStatuses: [{ name: 'main', state, ...more }] })
const runs = { phase: 'Running', ...mainIs({ running: {} }), conditions: [{ type: 'Ready', status: 'True' }] }
const unprepared = (reason: string, message: string) =>
  podOf({ phase: 'Pending', conditions: [{ type: preparedCondition, status: 'False', reason, message }] })
const ended = (phase: string, exitCode: number) => podOf({ phase, ...mainIs({ terminated: { exitCode } }) })

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
    progressing('PodFailed: Evicted: disk pressure'),
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
      'Running; BaseChanged: the image is now debian@new, but the overlay was first written upon debian@old and stays on that',
    ),
  ),
  told(
    'overlayDeleted',
    [podOf(runs, { kind: 'none' }, { deleted: { reason: 'OverlayDeleted', message: 'work has been deleted' } })],
    'Current',
    healthy('Running; OverlayDeleted: work has been deleted'),
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
      [{ kind: 'stopping', pod: genPod(name) }, stopped],
      'InProgress',
      progressing('Stopping: the pod is ending'),
    ),
  ],
  stopped: [told('stopped', [{ kind: 'stopped' }, stopped], 'Current', health('Suspended')('Stopped'))],
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
