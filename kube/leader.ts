import type { KubeClient } from './client.ts'
import { type Clock, pause, systemClock, unlessAborted } from './clock.ts'
import { createLeaseLock, type LeaseLock } from './lease-lock.ts'
import type { Logger } from './log.ts'
import type { Metrics } from './metrics.ts'
import { createTerm, type Term } from './term.ts'

export interface LeaderOptions {
  client: Pick<KubeClient, 'get' | 'create' | 'mergePatch'>
  namespace: string
  /** Name of the Lease. */
  name: string
  /** No two processes that run at one time have the same: a pod's name. */
  identity: string
  /** The leader's work. The signal is aborted when it must end; the lease is kept up until it has. */
  lead(signal: AbortSignal): Promise<void>
  /** Kept up while it leads: what must not write afterwards looks at it. */
  term?: Term
  log: Logger
  metrics?: Metrics | undefined
  clock?: Clock
  random?: () => number
  /** Others take the lease when it has not been renewed for so long. */
  leaseMs?: number
  /** The leader gives up when it has not renewed for so long: before others take over. */
  renewMs?: number
  /** Between two tries to take or renew. */
  retryMs?: number
}

/**
 * Waits for the lease, leads, and gives it back.
 *
 * @returns `stopped` when the signal was aborted or the work ended, with the lease released; `lost` when it could not
 *   be kept: the work's signal is aborted, and the process should exit at once, since another may lead already
 * @throws what the work threw, after the release
 */
export const runAsLeader = async (options: LeaderOptions, signal: AbortSignal): Promise<'stopped' | 'lost'> => {
  const { name, identity, log, metrics, clock = systemClock, random = Math.random } = options
  const { term = createTerm(clock), leaseMs = 15_000, renewMs = 10_000, retryMs = 2_000 } = options
  const lock = createLeaseLock({ ...options, clock, leaseMs })
  const setLeader = (value: 0 | 1): void => metrics?.leader.set(value, { name })

  setLeader(0)
  const rest = (expiry?: AbortSignal) =>
    pause(clock, retryMs * (1 + random() * 0.2), expiry ? AbortSignal.any([signal, expiry]) : signal)
  const acquired = await acquire({ lock, log, clock, rest, staleMs: leaseMs - renewMs }, signal)
  if (acquired === undefined) return 'stopped'
  // From before the request: others count from when the server has written it, which is later.
  term.extend(acquired.askedAt + renewMs)
  log.info({ identity, lease: name }, 'leading')
  setLeader(1)
  try {
    return await leadAndRenew({ lock, lead: options.lead, term, log, clock, renewMs, retryMs }, signal)
  } finally {
    term.end()
    setLeader(0)
  }
}

interface Acquiring {
  lock: LeaseLock
  log: Logger
  clock: Clock
  /** Until the next look, or the end of the lease that was seen. */
  rest(expiry?: AbortSignal): Promise<void>
  /** An answer older than this is no ground to lead for `renewMs` more. */
  staleMs: number
}

/** @returns when the lease was asked for that was got; undefined when the signal was aborted before */
const acquire = async (
  { lock, log, clock, rest, staleMs }: Acquiring,
  signal: AbortSignal,
): Promise<{ askedAt: number } | undefined> => {
  let holder: string | undefined
  while (!signal.aborted) {
    const askedAt = clock.monotonicMs()
    let expiry: AbortSignal | undefined
    try {
      const result = await lock.tryAcquire()
      if (result.kind === 'other') expiry = result.expiry
      if (result.kind === 'held' && clock.monotonicMs() - askedAt <= staleMs) return { askedAt }
      if (result.kind === 'other' && result.by !== holder) {
        holder = result.by
        log.info({ holder }, 'another leads: waiting')
      }
    } catch (error) {
      log.warn({ err: error }, 'could not ask for the lease: trying again')
    }
    await rest(expiry)
  }
  return undefined
}

interface Leading {
  lock: LeaseLock
  lead: LeaderOptions['lead']
  term: Term
  log: Logger
  clock: Clock
  renewMs: number
  retryMs: number
}

const leadAndRenew = async (
  { lock, lead, term, log, clock, renewMs, retryMs }: Leading,
  signal: AbortSignal,
): Promise<'stopped' | 'lost'> => {
  const work = new AbortController()
  const done = new AbortController()
  const stop = (): void => work.abort()
  signal.addEventListener('abort', stop, { once: true })
  if (signal.aborted) stop()
  try {
    const working = lead(work.signal).finally(() => done.abort())
    // It is awaited below, but may fail before that.
    working.catch(() => {})

    const kept = await keep({ lock, term, log, clock, renewMs, retryMs }, done.signal)
    if (!kept) {
      log.error('the lease is lost')
      term.end()
      work.abort()
      working.catch((error) => log.error({ err: error }, 'the work of the former leader failed at its end'))
      return 'lost'
    }
    await working.finally(() => release(lock, log))
    return 'stopped'
  } finally {
    signal.removeEventListener('abort', stop)
  }
}

const release = async (lock: LeaseLock, log: Logger): Promise<void> => {
  try {
    await lock.release()
  } catch (error) {
    log.warn({ err: error }, 'could not release the lease: it expires by itself')
  }
}

/** Renews until the signal is aborted (true), or until the lease is another's or too long not renewed (false). */
const keep = async (
  { lock, term, log, clock, renewMs, retryMs }: Omit<Leading, 'lead'>,
  signal: AbortSignal,
): Promise<boolean> => {
  const expired = new AbortController()
  const ended = AbortSignal.any([signal, expired.signal])
  const startDeadline = () => clock.setTimeout(() => expired.abort(), renewMs)
  let cancel = startDeadline()
  while (!ended.aborted) {
    await pause(clock, retryMs, ended)
    if (ended.aborted) break
    const askedAt = clock.monotonicMs()
    const next = startDeadline()
    const renewal = lock.renew().catch((error: unknown) => {
      log.warn({ err: error }, 'could not renew the lease: trying again')
      return undefined
    })
    const result = await unlessAborted(renewal, ended)
    if (result?.kind === 'other') expired.abort()
    if (result?.kind !== 'held') {
      next()
      continue
    }
    cancel()
    cancel = next
    term.extend(askedAt + renewMs)
  }
  cancel()
  return !expired.signal.aborted
}
