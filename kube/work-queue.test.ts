import { setTimeout as sleep, setImmediate as turn } from 'node:timers/promises'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { createMetrics } from './metrics.ts'
import { createManualClock } from './testing/manual-clock.ts'
import { silentLog } from './testing/silent-log.ts'
import { createWorkQueue, type WorkQueueOptions } from './work-queue.ts'

/** A queue whose work a test ends by hand. */
const createBench = (options: Partial<WorkQueueOptions> = {}) => {
  const clock = createManualClock()
  const started: string[] = []
  const open = new Map<string, PromiseWithResolvers<{ requeueAfterMs?: number } | undefined>>()
  const queue = createWorkQueue({
    name: 'test',
    concurrency: 2,
    process: (key) => {
      started.push(key)
      const work = Promise.withResolvers<{ requeueAfterMs?: number } | undefined>()
      open.set(key, work)
      return work.promise
    },
    log: silentLog,
    clock,
    // The longest delays, so that times are whole.
    random: () => 1,
    ...options,
  })
  const stop = new AbortController()
  const ended = queue.run(stop.signal)
  const end = async (key: string, result?: { requeueAfterMs?: number } | Error) => {
    const work = open.get(key)
    open.delete(key)
    if (result instanceof Error) work?.reject(result)
    else work?.resolve(result)
    await turn()
  }
  return { queue, clock, started, end, stop, ended }
}

describe('a work queue', () => {
  test('holds a waiting key once, and works on keys in the order of their arrival', async () => {
    const { queue, started, end } = createBench({ concurrency: 1 })
    queue.add('first')
    for (const key of ['a', 'b', 'a', 'c', 'b']) queue.add(key)
    for (const key of ['first', 'a', 'b', 'c']) await end(key)
    expect(started).toEqual(['first', 'a', 'b', 'c'])
  })

  test('works on several keys at once, but never on one key twice at a time', async () => {
    const { queue, started, end } = createBench({ concurrency: 2 })
    queue.add('a')
    queue.add('a')
    queue.add('b')
    queue.add('c')
    expect(started).toEqual(['a', 'b'])
    await end('b')
    expect(started).toEqual(['a', 'b', 'c'])
  })

  test('works once more on a key that was added, however often, while worked on', async () => {
    const { queue, started, end } = createBench()
    queue.add('a')
    queue.add('a')
    queue.add('a')
    expect(started).toEqual(['a'])
    await end('a')
    expect(started).toEqual(['a', 'a'])
    await end('a')
    expect(started).toEqual(['a', 'a'])
  })

  test('lets namespaces take turns, in the order of their keys’ arrival', async () => {
    const { queue, started, end } = createBench({ concurrency: 1 })
    for (const key of ['crowd/1', 'crowd/2', 'crowd/3', 'alone/1', 'crowd/4']) queue.add(key)
    for (const key of ['crowd/1', 'crowd/2', 'alone/1', 'crowd/3', 'crowd/4']) await end(key)
    expect(started).toEqual(['crowd/1', 'crowd/2', 'alone/1', 'crowd/3', 'crowd/4'])
  })

  test('has a turn for what is urgent before those that came earlier', async () => {
    const { queue, started, end } = createBench({ concurrency: 1 })
    for (const key of ['a/1', 'a/2', 'a/3']) queue.add(key)
    queue.addUrgent('a/urgent')
    for (const key of ['a/1', 'a/urgent', 'a/2']) await end(key)
    expect(started).toEqual(['a/1', 'a/urgent', 'a/2', 'a/3'])
  })

  test('takes keys before it runs', async () => {
    const started: string[] = []
    const queue = createWorkQueue({
      name: 'early',
      concurrency: 1,
      process: async (key) => void started.push(key),
      log: silentLog,
    })
    queue.add('a')
    expect(started).toEqual([])
    const stop = new AbortController()
    const ended = queue.run(stop.signal)
    await turn()
    stop.abort()
    await ended
    expect(started).toEqual(['a'])
  })

  test('tries a failing key again later each time, up to the cap, and forgets that at a success', async () => {
    const { queue, clock, started, end } = createBench({ maxBackoffMs: 30 })
    queue.add('a')
    for (const delay of [5, 10, 20, 30, 30]) {
      const before = started.length
      await end('a', new Error('no'))
      await clock.advance(delay - 1)
      expect(started.length, `before ${delay} ms`).toBe(before)
      await clock.advance(1)
      expect(started.length, `after ${delay} ms`).toBe(before + 1)
    }
    await end('a')
    queue.add('a')
    await end('a', new Error('no'))
    const before = started.length
    await clock.advance(5)
    expect(started.length).toBe(before + 1)
  })

  test('draws the delay from its upper half', async () => {
    const { queue, clock, started, end } = createBench({ random: () => 0 })
    queue.add('a')
    await end('a', new Error('no'))
    await clock.advance(2)
    expect(started).toEqual(['a'])
    await clock.advance(1)
    expect(started).toEqual(['a', 'a'])
  })

  test('a failing key does not keep others waiting, and a throw that is not a promise is a failure like any', async () => {
    const started: string[] = []
    const { queue } = createBench({
      concurrency: 1,
      process: (key) => {
        started.push(key)
        throw new Error('at once')
      },
    })
    queue.add('a')
    queue.add('b')
    await turn()
    expect(started).toEqual(['a', 'b'])
  })

  test('addAfter adds later; of several the earliest counts', async () => {
    const { queue, clock, started } = createBench()
    queue.addAfter('a', 1000)
    queue.addAfter('a', 500)
    queue.addAfter('a', 2000)
    await clock.advance(499)
    expect(started).toEqual([])
    await clock.advance(1)
    expect(started).toEqual(['a'])
    await clock.advance(5000)
    expect(started).toEqual(['a'])
  })

  test('a turn before its time takes the place of the later one', async () => {
    const { queue, clock, started, end } = createBench()
    queue.addAfter('a', 1000)
    queue.add('a')
    await end('a')
    await clock.advance(5000)
    expect(started).toEqual(['a'])
  })

  test('a key that asks for it comes again after its time', async () => {
    const { queue, clock, started, end } = createBench()
    queue.add('a')
    await end('a', { requeueAfterMs: 60_000 })
    await clock.advance(59_999)
    expect(started).toEqual(['a'])
    await clock.advance(1)
    expect(started).toEqual(['a', 'a'])
  })

  test('an abort drops what waits, lets the work going on end, and leaves no timer', async () => {
    const { queue, clock, started, end, stop, ended } = createBench({ concurrency: 1 })
    let isOver = false
    void ended.then(() => {
      isOver = true
    })
    queue.add('a')
    queue.add('a')
    queue.add('b')
    queue.addAfter('c', 100)
    stop.abort()
    queue.add('d')
    await turn()
    expect(isOver).toBe(false)
    await end('a', new Error('failed at the end'))
    expect(isOver).toBe(true)
    expect(started).toEqual(['a'])
    expect(clock.pending()).toBe(0)
  })

  test('counts adds, results, retries and depth', async () => {
    const metrics = createMetrics()
    const { queue, end } = createBench({ metrics, concurrency: 1 })
    queue.add('a')
    queue.add('b')
    queue.add('b')
    await end('a', new Error('no'))
    const text = await metrics.text()
    expect(text).toContain('workqueue_adds_total{name="test",controller="test"} 2')
    expect(text).toContain('workqueue_depth{name="test",controller="test"} 0')
    expect(text).toContain('workqueue_retries_total{name="test",controller="test"} 1')
    expect(text).toContain('workqueue_work_duration_seconds_count{name="test",controller="test"} 1')
    expect(text).toContain('controller_runtime_reconcile_errors_total{controller="test"} 1')
    expect(text).toContain('controller_runtime_max_concurrent_reconciles{controller="test"} 1')
    expect(text).toContain('controller_runtime_reconcile_total{controller="test",result="error"} 1')
    expect(text).toContain('controller_runtime_active_workers{controller="test"} 1')
  })

  test('tells how long the work going on has taken, whenever it is asked', async () => {
    const metrics = createMetrics()
    const { queue, end } = createBench({ metrics })
    const told = async () => {
      const text = await metrics.text()
      const of = (name: string) => Number(new RegExp(`^${name}{.*} (.*)$`, 'm').exec(text)?.[1])
      return [of('workqueue_unfinished_work_seconds'), of('workqueue_longest_running_processor_seconds')] as const
    }
    expect(await told()).toEqual([0, 0])
    queue.add('a')
    queue.add('b')
    await sleep(20)
    const [all, longest] = await told()
    expect(longest).toBeGreaterThan(0.015)
    expect(all).toBeGreaterThan(longest * 1.5)
    for (const key of ['a', 'b']) await end(key)
    expect(await told()).toEqual([0, 0])
  })

  test('whatever comes in what order: no key twice at a time, no more than allowed, and each is worked on after its last add', async () => {
    const key = fc.constantFrom('a', 'b', 'c', 'd')
    const step = fc.record({ action: fc.constantFrom('add', 'end', 'fail'), key })
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 60 }), async (steps) => {
        const clock = createManualClock()
        const open = new Map<string, PromiseWithResolvers<undefined>>()
        const stale = new Set<string>()
        const violations: string[] = []
        const queue = createWorkQueue({
          name: 'test',
          concurrency: 2,
          process: (key) => {
            if (open.has(key)) violations.push(`${key} twice at a time`)
            if (open.size >= 2) violations.push(`${key} beside ${[...open.keys()]}`)
            stale.delete(key)
            const work = Promise.withResolvers<undefined>()
            open.set(key, work)
            return work.promise
          },
          log: silentLog,
          clock,
        })
        const stop = new AbortController()
        const ended = queue.run(stop.signal)
        const end = async (key: string, failure?: Error) => {
          const work = open.get(key)
          open.delete(key)
          if (failure) {
            if (work) stale.add(key)
            work?.reject(failure)
          } else work?.resolve(undefined)
          await turn()
        }
        for (const { action, key } of steps) {
          if (action === 'add') {
            stale.add(key)
            queue.add(key)
          } else await end(key, action === 'fail' ? new Error('no') : undefined)
        }
        for (let rounds = 0; rounds < 200 && (open.size > 0 || stale.size > 0); rounds++) {
          for (const key of [...open.keys()]) await end(key)
          await clock.advance(10_000)
        }
        expect(violations).toEqual([])
        expect([...stale]).toEqual([])
        stop.abort()
        await ended
      }),
      { numRuns: 50 },
    )
  })
})
