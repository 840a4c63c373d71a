import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { condition, genInstance } from '../../../test/gen/objects.ts'
import { connect } from '../connection.ts'
import { type Answers, apiServer, listOf } from '../testing/api-server.ts'
import { silentContext } from '../testing/context.ts'
import { createPatience } from './patience.ts'
import { waitUntilRunning } from './wait.ts'

const instances = '/apis/lamina.dev/v1alpha1/namespaces/team/instances'

let dir: string
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'lamina-wait-'))
})
afterEach(() => rm(dir, { recursive: true }))

/** What is said of an instance that runs, with these conditions beside. */
const saidOf = async (...conditions: object[]): Promise<string[]> => {
  const running = [condition('Ready', 'True', 'Running'), condition('Running', 'True', 'Started')]
  const instance = genInstance('dev', { status: { observedGeneration: 1, conditions: [...running, ...conditions] } })
  const server = await apiServer({ [`GET ${instances}`]: listOf(instance) })
  const kubeconfig = join(dir, 'kubeconfig')
  await server.writeKubeconfig(kubeconfig)
  const said: string[] = []
  const status = { ...silentContext.status, say: (text: string) => void said.push(text) }
  const connection = connect({ kubeconfig }, () => {})
  await waitUntilRunning(connection, { ...silentContext, status }, 'dev').finally(server.close)
  return said
}

test('of an instance that runs there is nothing to say', async () => {
  expect(await saidOf(condition('UpToDate', 'True', 'AsSpecified'))).toEqual([])
})

test('but that it runs on the image of its overlay, and not on the one that was asked for', async () => {
  const changed = { ...condition('UpToDate', 'False', 'BaseChanged'), message: 'the overlay lies upon debian:11' }
  expect(await saidOf(changed)).toEqual(['instance dev: the overlay lies upon debian:11'])
})

test('how far a fetch is, is told by its log alone where there is one: the instance repeats it late', async () => {
  const pending = { ...condition('Ready', 'False', 'ImagePending'), message: 'downloaded 10 MiB of 100 MiB (10 %)' }
  const waiting = [pending, condition('Running', 'False', 'ImagePending')]
  const starts = genInstance('dev', { status: { observedGeneration: 1, conditions: waiting } })
  const runs = genInstance('dev', {
    status: {
      observedGeneration: 1,
      conditions: [condition('Ready', 'True', 'Running'), condition('Running', 'True', 'Started')],
    },
  })
  const asked = [starts, starts, starts, starts, runs].map((each) => listOf(each))
  const log = { status: 200, body: ['downloaded 60 MiB of 100 MiB (60 %)'] }
  const server = await apiServer({ [`GET ${instances}`]: asked, '/api/v1/namespaces/team/pods/dev/log': log })
  const kubeconfig = join(dir, 'kubeconfig')
  await server.writeKubeconfig(kubeconfig)
  const shown: string[] = []
  const status = { ...silentContext.status, show: (text: string) => void shown.push(text) }
  await waitUntilRunning(
    connect({ kubeconfig }, () => {}),
    { ...silentContext, status },
    'dev',
  ).finally(server.close)
  const told = shown.map((line) => Number(/\((\d+) %\)/.exec(line)?.[1]))
  expect(told).toContain(60)
  expect(told).toEqual(told.toSorted((a, b) => a - b))
})

/** What becomes of the wait for an instance that stands so, when patience is short. */
const outcomeOf = async (kind: 'waits' | 'stalled', reason: string, answers: Answers = {}): Promise<string> => {
  const stalled = condition('Stalled', kind === 'stalled' ? 'True' : 'False', reason)
  const conditions = [condition('Ready', 'False', reason), condition('Running', 'False', reason), stalled]
  const pod = { name: 'dev', uid: 'uid-pod', templateHash: '' }
  const instance = genInstance('dev', { status: { observedGeneration: 1, pod, conditions } })
  const server = await apiServer({ [`GET ${instances}`]: listOf(instance), ...answers })
  const kubeconfig = join(dir, 'kubeconfig')
  await server.writeKubeconfig(kubeconfig)
  const stop = new AbortController()
  const interrupts = { ...silentContext.interrupts, signal: stop.signal }
  const waits = waitUntilRunning(
    connect({ kubeconfig }, () => {}),
    { ...silentContext, interrupts },
    'dev',
    createPatience(50),
  )
  const timer = setTimeout(() => stop.abort(new Error('waits on')), 3_000)
  try {
    return await waits.then(
      () => 'runs',
      (error: Error) => error.message,
    )
  } finally {
    clearTimeout(timer)
    await server.close()
  }
}

describe('an instance that does not start', () => {
  test('for what only a person can mend is given up after a while, with the next step', async () => {
    expect(await outcomeOf('waits', 'PodRefused')).toMatch(
      /^instance dev cannot start: PodRefused: .*\n→ the message says what refuses it/s,
    )
    expect(await outcomeOf('waits', 'ImageNotFound')).toContain('→ correct spec.source')
  })

  test('is given up at once where the cluster says that it is hopeless', async () => {
    expect(await outcomeOf('stalled', 'InvalidSpec')).toMatch(/^instance dev cannot start: InvalidSpec/)
  })

  test('for what mends itself is waited for', async () => {
    expect(await outcomeOf('waits', 'Unschedulable')).toBe('waits on')
  })

  test('for a Secret that its pod lacks, which Events alone tell, is given up as well', async () => {
    const missing = {
      metadata: { name: 'e', namespace: 'team' },
      involvedObject: { kind: 'Pod', name: 'dev', uid: 'uid-pod' },
      type: 'Warning',
      reason: 'FailedMount',
      message: 'MountVolume.SetUp failed for volume "keys" : secret "nope" not found',
    }
    const outcome = await outcomeOf('waits', 'Starting', { 'GET /api/v1/namespaces/team/events': listOf(missing) })
    expect(outcome).toContain(
      'VolumeSourceMissing: MountVolume.SetUp failed for volume "keys" : secret "nope" not found',
    )
  })
})
