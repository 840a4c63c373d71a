import { expect, test } from 'vitest'
import { condition, genInstance, genPod } from '../../../test/gen/objects.ts'
import { memoryFindings } from './memory.ts'

const at = '2026-01-01T00:00:00Z'
const killed = { exitCode: 137, reason: 'OOMKilled', finishedAt: at }

const instance = (runs: boolean, status: object = {}) => {
  const [is, reason] = runs ? (['True', 'Started'] as const) : (['False', 'CrashLoopBackOff'] as const)
  const conditions = [condition('Ready', is, reason), condition('Running', is, reason)]
  return genInstance('dev', {
    spec: { resources: { limits: { memory: '64Mi' } } },
    status: { observedGeneration: 1, conditions, ...status },
  })
}

const pod = genPod('dev', {
  spec: {
    containers: [
      { name: 'main', resources: { limits: { memory: '32Mi' } } },
      { name: 'proxy', resources: {} },
    ],
  },
  status: {
    containerStatuses: [
      { name: 'main', lastState: { terminated: killed } },
      { name: 'proxy', lastState: { terminated: killed } },
    ],
  },
})

test('each container that was killed is named with the limit that its pod has', () => {
  expect(memoryFindings(instance(false), pod)).toEqual([
    {
      subject: 'instance/dev',
      level: 'wrong',
      what: `OOMKilled: container main was ended at ${at}, for it wanted more memory than its limit, 32Mi`,
      next: 'raise spec.resources.limits.memory: kubectl -n team edit instance dev',
    },
    expect.objectContaining({ what: expect.stringContaining('container proxy was ended') }),
  ])
})

test('without a pod the instance tells it of itself, until another pod runs', () => {
  const lastTermination = { exitCode: 137, reason: 'OOMKilled', finishTime: at }
  expect(memoryFindings(instance(false, { lastTermination }))[0]?.what).toContain('its limit, 64Mi')
  expect(memoryFindings(instance(true, { lastTermination, restarts: 2 }))[0]?.level).toBe('note')
  expect(memoryFindings(instance(true, { lastTermination, restarts: 0 }))).toEqual([])
  expect(memoryFindings(instance(true))).toEqual([])
})
