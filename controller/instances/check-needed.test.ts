import { describe, expect, test } from 'vitest'
import { condition, genInstance, genOverlay, genPod } from '../../test/gen/objects.ts'
import { checkNeededBy } from './check-needed.ts'

const found = '2026-03-01T12:00:10Z'

/** An overlay whose condition Healthy is False, since `found`. */
const unhealthyFor = (reason: string) =>
  genOverlay('work', {
    status: { conditions: [{ ...condition('Healthy', 'False', reason), lastTransitionTime: found }] },
  })

const waiting = { containerStatuses: [{ name: 'main', state: { waiting: { reason: 'CreateContainerError' } } }] }
const running = { containerStatuses: [{ name: 'main', state: { running: { startedAt: found } } }] }
const ended = { containerStatuses: [{ name: 'main', state: { terminated: { exitCode: 0 } } }] }

const prepareUntil = (finishedAt: string | undefined) => ({
  ...waiting,
  initContainerStatuses: [
    {
      name: 'prepare',
      state: finishedAt === undefined ? { running: {} } : { terminated: { exitCode: 0, finishedAt } },
    },
  ],
})

interface Case {
  reason?: string
  status?: object
  prepare?: boolean
  access?: 'ReadWrite' | 'ReadOnly'
  restartPolicy?: string
}

const isReplaced = ({ reason = 'CheckNeeded', status = waiting, prepare = false, ...spec }: Case): boolean => {
  const { access = 'ReadWrite', restartPolicy = 'Always' } = spec
  const instance = genInstance('dev', { spec: { overlays: [{ name: 'work', access }], restartPolicy } })
  const initContainers = prepare ? [{ name: 'prepare' }] : []
  const pod = genPod('dev', { spec: { containers: [{ name: 'main' }], initContainers }, status })
  return checkNeededBy(instance, pod, () => unhealthyFor(reason)) !== undefined
}

describe('a pod is replaced by one that has its overlay checked', () => {
  test.each<[string, Case]>([
    ['when the runtime could not mount it', {}],
    ['when errors are on record, and the container restarts in place', { reason: 'FileSystemErrors' }],
    [
      'when its own prepare was over before that was found',
      { prepare: true, status: prepareUntil('2026-03-01T11:00:00Z') },
    ],
    ['when its main container ended and is to be started again', { status: ended }],
  ])('%s', (_what, given) => {
    expect(isReplaced(given)).toBe(true)
  })
})

describe('a pod stays', () => {
  test.each<[string, Case]>([
    ['while it runs', { status: running }],
    ['when it only reads the overlay', { access: 'ReadOnly' }],
    ['when the damage is for a person to mend', { reason: 'FileSystemDamaged' }],
    ['while its own prepare goes on', { prepare: true, status: prepareUntil(undefined) }],
    ['when its own prepare ended later', { prepare: true, status: prepareUntil('2026-03-01T12:00:20Z') }],
    ['when its work is done', { status: ended, restartPolicy: 'Never' }],
  ])('%s', (_what, given) => {
    expect(isReplaced(given)).toBe(false)
  })
})
