import { describe, expect, test } from 'vitest'
import { daemonSets } from '../../kube/resources.ts'
import { genImage, genResolved } from '../../test/gen/objects.ts'
import type { PrefetchFinding } from './prefetch.ts'
import type { Finding } from './resolve.ts'
import { statusAfter } from './status.ts'

const now = new Date('2026-01-01T12:00:00Z')
const resolved: Finding = { kind: 'resolved', resolved: genResolved() }
const statusOf = (finding: Finding, prefetch: PrefetchFinding = { kind: 'none' }) =>
  statusAfter(genImage('tools'), { finding, refresh: { kind: 'looked' }, prefetch }, now)
const told = (...given: Parameters<typeof statusOf>) =>
  Object.fromEntries(
    (statusOf(...given).conditions ?? []).map(({ type, status, reason }) => [type, `${status} ${reason}`]),
  )

describe('the status of an image', () => {
  test.each<[string, Finding, Record<string, string>]>([
    ['resolved', resolved, { Ready: 'True Resolved', Stalled: 'False None', Prefetched: 'False NotAsked' }],
    [
      'not to be had now',
      { kind: 'failed', reason: 'ImageUnreachable', message: 'm' },
      { Ready: 'False ImageUnreachable', Reconciling: 'True ImageUnreachable' },
    ],
    [
      'from where it may not come',
      { kind: 'notAllowed', reason: 'SourceNotAllowed', message: 'm' },
      { Ready: 'False SourceNotAllowed', Stalled: 'True SourceNotAllowed' },
    ],
  ])('%s', (_, finding, expected) => {
    expect(told(finding)).toMatchObject(expected)
  })

  test('has a digest only while the source gives one', () => {
    expect(statusOf(resolved).resolved).toMatchObject({ digest: genResolved().digest })
    expect(statusOf({ kind: 'failed', reason: 'ImageNotFound', message: 'm' }).resolved).toBeUndefined()
  })

  test('counts nodes of a prefetch, and is Ready whatever these do', () => {
    const daemonSet = daemonSets.parse({
      metadata: { name: 'lamina-prefetch-tools', generation: 1 },
      status: { observedGeneration: 1, desiredNumberScheduled: 2, updatedNumberScheduled: 2, numberReady: 1 },
    })
    const there: PrefetchFinding = { kind: 'there', daemonSet, pods: [] }
    expect(statusOf(resolved, there).prefetch).toEqual({ desiredNodes: 2, readyNodes: 1 })
    expect(told(resolved, there)).toMatchObject({
      Ready: 'True Resolved',
      Prefetched: 'False Fetching',
    })
    expect(told(resolved, { kind: 'refused', reason: 'PrefetchRefused', message: 'quota' })).toMatchObject({
      Ready: 'True Resolved',
      Prefetched: 'False PrefetchRefused',
    })
  })
})
