import { describe, expect, test } from 'vitest'
import type { Clock } from '../../kube/clock.ts'
import type { KubeObject, Resource } from '../../kube/resource.ts'
import { daemonSets, leases, type Pod, pods } from '../../kube/resources.ts'
import { genImage, genResolved } from '../../test/gen/objects.ts'
import { prefetchOf } from './prefetch.ts'
import { removePrefetches } from './remove-prefetches.ts'

const prefetch = (name: string) =>
  daemonSets.parse(JSON.parse(JSON.stringify(prefetchOf(genImage(name), genResolved(), 'lamina:1'))))
const podOf = (name: string): Pod => pods.parse({ metadata: { name, namespace: 'team' }, spec: { containers: [] } })

/** A cluster in which a second passes with each wait; a leader makes again what is deleted until it sees that the lease is gone. */
const cluster = (present: string[], { noticesAfterMs = 2_000, podsEndAfterMs = 8_000 } = {}) => {
  let ms = 0
  let leaseTakenAt: number | undefined
  const there = new Map(present.map((name) => [name, prefetch(name)]))
  const clock: Clock = {
    now: () => new Date(ms),
    monotonicMs: () => ms,
    setTimeout: (fn, wait) => {
      queueMicrotask(() => {
        ms += wait
        fn()
      })
      return () => {}
    },
  }
  const listed = (resource: Resource<KubeObject>): KubeObject[] => {
    if (resource.plural === pods.plural) return present.length > 0 && ms < podsEndAfterMs ? [podOf('a')] : []
    return [...there.values()]
  }
  const removal = {
    clock,
    namespace: 'lamina',
    signal: new AbortController().signal,
    client: {
      list: async <T extends KubeObject>(resource: Resource<T>) =>
        listed(resource).map((object) => resource.parse(object)),
      mergePatch: async <T extends KubeObject>(resource: Resource<T>) => {
        expect(resource.plural).toBe(leases.plural)
        leaseTakenAt ??= ms
        return undefined
      },
      delete: async (_: Resource<KubeObject>, { name }: { name: string }) => {
        const isLed = leaseTakenAt === undefined || ms - leaseTakenAt < noticesAfterMs
        if (!isLed) there.delete(name.replace('lamina-prefetch-', ''))
        return true
      },
    },
  }
  return {
    removal,
    left: () => [...there.keys()],
    leaseTaken: () => leaseTakenAt !== undefined,
    seconds: () => ms / 1000,
  }
}

describe('before an uninstallation, prefetches', () => {
  test('are removed for good: the controllers are made to wait, or they would make them anew', async () => {
    const { removal, left, leaseTaken, seconds } = cluster(['a', 'b'])
    expect(await removePrefetches(removal)).toBe(2)
    expect(left()).toEqual([])
    expect(leaseTaken()).toBe(true)
    // The pods end while there are agents to clear up behind them.
    expect(seconds()).toBeGreaterThanOrEqual(8)
  })

  test('that are none cost no time, and the controllers lead on', async () => {
    const { removal, leaseTaken, seconds } = cluster([])
    expect(await removePrefetches(removal)).toBe(0)
    expect([leaseTaken(), seconds()]).toEqual([false, 0])
  })

  test('whose pods do not end, on a dead node, do not keep the operator for ever', async () => {
    const { removal, left, seconds } = cluster(['a'], { podsEndAfterMs: Number.POSITIVE_INFINITY })
    await removePrefetches(removal)
    expect(left()).toEqual([])
    expect(seconds()).toBeLessThan(60)
  })
})
