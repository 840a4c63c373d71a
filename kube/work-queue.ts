import { backoffMs } from './backoff.ts'
import { type Clock, systemClock } from './clock.ts'
import { createFairLine, type Urgency } from './fair-line.ts'
import type { Logger } from './log.ts'
import type { Metrics } from './metrics.ts'
import { parseKey } from './resource.ts'

/**
 * Keys that wait to be worked on. A key waits at most once, is never worked on
 * twice at a time, and comes again when it was added while worked on. Namespaces
 * take turns ({@link createFairLine}).
 */
export interface WorkQueue {
  add(key: string): void
  /** Adds a key that does not wait yet: such have every other turn of their namespace. */
  addUrgent(key: string): void
  /** Adds the key after `ms`; of several such, the earliest counts. A turn that comes before that takes its place. */
  addAfter(key: string, ms: number): void
  /** Works until the signal is aborted; resolves when the work going on has ended. What waits then is dropped. */
  run(signal: AbortSignal): Promise<void>
}

/** When to work on the key again although nothing failed. */
export interface Requeue {
  requeueAfterMs?: number | undefined
}

export interface WorkQueueOptions {
  /** Names the queue in metrics and logs. */
  name: string
  concurrency: number
  /** A failure (throw) is logged and tried again, later each time; a success forgets the failures. */
  process(key: string): Promise<Requeue | undefined> | Promise<void>
  log: Logger
  metrics?: Metrics | undefined
  clock?: Clock
  random?: () => number
  /** Longest time between two tries of a failing key. */
  maxBackoffMs?: number
}

const baseBackoffMs = 5
const defaultMaxBackoffMs = 1_000_000

export const createWorkQueue = (options: WorkQueueOptions): WorkQueue => {
  const { name, concurrency, metrics, clock = systemClock, random = Math.random } = options
  const backoff = { baseMs: baseBackoffMs, capMs: options.maxBackoffMs ?? defaultMaxBackoffMs }
  const log = options.log.child({ controller: name })

  const waiting = createFairLine()
  /** With the time of their start. */
  const processing = new Map<string, number>()
  /** Added while worked on. */
  const again = new Set<string>()
  const delayed = new Map<string, { at: number; cancel: () => void }>()
  const failures = new Map<string, number>()
  let state: 'idle' | 'running' | 'stopping' = 'idle'
  let ended = (): void => {}

  const addWith = (key: string, urgency: Urgency): void => {
    if (state === 'stopping' || waiting.has(key) || again.has(key)) return
    metrics?.queueAdds.inc(labels)
    if (processing.has(key)) {
      again.add(key)
      return
    }
    enqueue(key, urgency)
    pump()
  }
  const add: WorkQueue['add'] = (key) => addWith(key, 'usual')

  const labels = { name, controller: name }
  const tellDepth = (): void => metrics?.queueDepth.set(waiting.size(), labels)

  const enqueue = (key: string, urgency: Urgency): void => {
    waiting.add(key, performance.now(), urgency)
    tellDepth()
  }

  const addAfter: WorkQueue['addAfter'] = (key, ms) => {
    if (ms <= 0) return add(key)
    if (state === 'stopping') return
    const at = clock.monotonicMs() + ms
    const earlier = delayed.get(key)
    if (earlier && earlier.at <= at) return
    earlier?.cancel()
    const cancel = clock.setTimeout(() => {
      delayed.delete(key)
      add(key)
    }, ms)
    delayed.set(key, { at, cancel })
  }

  const retry = (key: string, error: unknown): void => {
    const count = (failures.get(key) ?? 0) + 1
    failures.set(key, count)
    const ms = backoffMs(count, backoff, random)
    metrics?.queueRetries.inc(labels)
    log.error({ err: error, ...parseKey(key), failures: count, retryMs: Math.round(ms) }, 'failed: trying again')
    addAfter(key, ms)
  }

  const attempt = async (key: string): Promise<'success' | 'requeue_after' | 'error'> => {
    try {
      const { requeueAfterMs } = (await options.process(key)) ?? {}
      failures.delete(key)
      if (requeueAfterMs === undefined) return 'success'
      addAfter(key, requeueAfterMs)
      return 'requeue_after'
    } catch (error) {
      retry(key, error)
      return 'error'
    }
  }

  const work = async (key: string): Promise<void> => {
    const started = performance.now()
    processing.set(key, started)
    delayed.get(key)?.cancel()
    delayed.delete(key)
    const result = await attempt(key)
    const seconds = (performance.now() - started) / 1000
    metrics?.reconcileSeconds.observe(seconds, { controller: name })
    metrics?.workSeconds.observe(seconds, labels)
    metrics?.reconciles.inc({ controller: name, result })
    if (result === 'error') metrics?.reconcileErrors.inc({ controller: name })
    processing.delete(key)
    metrics?.activeWorkers.set(processing.size, { controller: name })
    if (again.delete(key) && state === 'running') enqueue(key, 'usual')
    if (state === 'stopping' && processing.size === 0) ended()
    pump()
  }

  const pump = (): void => {
    while (state === 'running' && processing.size < concurrency) {
      const next = waiting.next()
      if (!next) return
      tellDepth()
      metrics?.queueSeconds.observe((performance.now() - next.since) / 1000, labels)
      void work(next.key)
      metrics?.activeWorkers.set(processing.size, { controller: name })
    }
  }

  const stop = (): void => {
    state = 'stopping'
    waiting.clear()
    for (const { cancel } of delayed.values()) cancel()
    delayed.clear()
    if (processing.size === 0) ended()
  }

  metrics?.maxWorkers.set(concurrency, { controller: name })
  metrics?.onRead(() => {
    const now = performance.now()
    const seconds = [...processing.values()].map((started) => (now - started) / 1000)
    metrics.unfinishedSeconds.set(
      seconds.reduce((sum, each) => sum + each, 0),
      labels,
    )
    metrics.longestSeconds.set(Math.max(0, ...seconds), labels)
  })

  return {
    add,
    addUrgent: (key) => addWith(key, 'urgent'),
    addAfter,
    run: (signal) =>
      new Promise((resolve) => {
        ended = resolve
        state = 'running'
        if (signal.aborted) return stop()
        signal.addEventListener('abort', stop, { once: true })
        pump()
      }),
  }
}
