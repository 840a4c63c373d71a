import { describe, expect, test } from 'vitest'
import { runAsLeader } from './leader.ts'
import { createMetrics } from './metrics.ts'
import { createTerm } from './term.ts'
import { createLeaseServer } from './testing/lease-server.ts'
import { createManualClock } from './testing/manual-clock.ts'
import { silentLog } from './testing/silent-log.ts'

const createBench = () => {
  const server = createLeaseServer()
  const clock = createManualClock()
  const metrics = createMetrics()

  const candidate = (identity: string, client = server.client) => {
    const stop = new AbortController()
    const term = createTerm(clock)
    const work = Promise.withResolvers<void>()
    const seen: { leads: boolean; told: boolean; result: unknown } = { leads: false, told: false, result: undefined }
    const result = runAsLeader(
      {
        client,
        namespace: 'ns',
        name: 'lock',
        identity,
        term,
        lead: (signal) => {
          seen.leads = true
          signal.addEventListener('abort', () => {
            seen.told = true
          })
          return work.promise
        },
        log: silentLog,
        metrics,
        clock,
        random: () => 0,
      },
      stop.signal,
    )
    result.then(
      (value) => {
        seen.result = value
      },
      (error) => {
        seen.result = error
      },
    )
    return { seen, stop, term, endWork: work.resolve, failWork: work.reject }
  }
  return { server, clock, metrics, candidate }
}

describe('leader election', () => {
  test('the first takes the lease, writes its terms, and keeps it by renewals', async () => {
    const { server, clock, candidate, metrics } = createBench()
    const { seen } = candidate('a')
    await clock.advance(0)
    expect(seen.leads).toBe(true)
    expect(server.spec()).toEqual({
      holderIdentity: 'a',
      leaseDurationSeconds: 15,
      acquireTime: '2026-01-01T00:00:00.000000Z',
      renewTime: '2026-01-01T00:00:00.000000Z',
      leaseTransitions: 0,
    })
    expect(await metrics.text()).toContain('leader_election_master_status{name="lock"} 1')
    await clock.advance(60_000)
    expect(server.spec()).toMatchObject({ renewTime: '2026-01-01T00:01:00.000000Z' })
    expect(seen.told).toBe(false)
  })

  test('of two, one leads; the other takes over by itself when the first has been silent for the whole lease', async () => {
    const { server, clock, candidate } = createBench()
    let cut = false
    const cutOff: typeof server.client = {
      ...server.client,
      mergePatch: (...args) => (cut ? Promise.reject(new Error('unreachable')) : server.client.mergePatch(...args)),
    }
    const first = candidate('a', cutOff)
    await clock.advance(0)
    const second = candidate('b')
    await clock.advance(60_000)
    expect(second.seen.leads).toBe(false)

    cut = true
    await clock.advance(10_000)
    expect(first.seen, 'gives up before the other begins').toMatchObject({ told: true, result: 'lost' })
    expect(second.seen.leads).toBe(false)
    await clock.advance(8_000)
    expect(second.seen.leads).toBe(true)
    expect(server.spec()).toMatchObject({ holderIdentity: 'b', leaseTransitions: 1 })
  })

  test('the other takes over when the lease has stood its time, not at the look that follows', async () => {
    const { server, clock, candidate } = createBench()
    let isCut = false
    candidate('a', {
      ...server.client,
      mergePatch: (...args) => (isCut ? Promise.reject(new Error('unreachable')) : server.client.mergePatch(...args)),
    })
    await clock.advance(0)
    const { seen } = candidate('b')
    // It looks when the first renews, every two seconds: 15 are between two looks.
    await clock.advance(60_000)
    isCut = true
    await clock.advance(14_900)
    expect(seen.leads).toBe(false)
    await clock.advance(100)
    expect(seen.leads).toBe(true)
  })

  test('a leader whose API server is down gives up after ten seconds, even when its requests hang', async () => {
    for (const trouble of ['isDown', 'hangs'] as const) {
      const { server, clock, candidate } = createBench()
      const { seen } = candidate('a')
      await clock.advance(4_000)
      server.state[trouble] = true
      await clock.advance(9_000)
      expect(seen, trouble).toMatchObject({ told: false, result: undefined })
      await clock.advance(1_000)
      expect(seen, trouble).toMatchObject({ told: true, result: 'lost' })
    }
  })

  test('a short outage is no loss', async () => {
    const { server, clock, candidate } = createBench()
    const { seen } = candidate('a')
    await clock.advance(4_000)
    server.state.isDown = true
    await clock.advance(7_000)
    server.state.isDown = false
    await clock.advance(60_000)
    expect(seen).toMatchObject({ told: false, result: undefined })
  })

  test('who was cut off while another renewed does not take that for an end', async () => {
    const { server, clock, candidate } = createBench()
    candidate('a')
    await clock.advance(0)
    let cut = false
    const second = candidate('b', {
      ...server.client,
      get: (...args) => (cut ? Promise.reject(new Error('unreachable')) : server.client.get(...args)),
    })
    await clock.advance(1_000)
    cut = true
    await clock.advance(60_000)
    cut = false
    await clock.advance(10_000)
    expect(second.seen.leads).toBe(false)
  })

  test('an answer that took long is no ground to lead: others count from when the lease was written', async () => {
    const { server, clock, candidate } = createBench()
    const { seen } = candidate('a', {
      ...server.client,
      create: async (...args) => {
        const made = await server.client.create(...args)
        await new Promise<void>((resolve) => clock.setTimeout(resolve, 6_000))
        return made
      },
    })
    await clock.advance(6_000)
    expect(server.spec()).toMatchObject({ holderIdentity: 'a' })
    expect(seen.leads).toBe(false)
    await clock.advance(2_000)
    expect(seen.leads).toBe(true)
  })

  test('may write from when it leads until ten seconds after it last asked for a renewal that it got', async () => {
    const { server, clock, candidate } = createBench()
    const { term } = candidate('a')
    expect(term.isOn()).toBe(false)
    await clock.advance(4_000)
    expect(term.isOn()).toBe(true)
    server.state.hangs = true
    await clock.advance(9_999)
    expect(term.isOn()).toBe(true)
    await clock.advance(1)
    expect(term.isOn()).toBe(false)
  })

  test('may not write after its work has ended', async () => {
    const { clock, candidate } = createBench()
    const { term, endWork } = candidate('a')
    await clock.advance(0)
    endWork()
    await clock.advance(2_000)
    expect(term.isOn()).toBe(false)
  })

  test('paused for longer than its term, it may not write, before any timer has told it', async () => {
    const { server, clock, candidate } = createBench()
    const { seen, term } = candidate('a')
    await clock.advance(4_000)
    clock.pass(20_000)
    expect(seen.told).toBe(false)
    expect(term.isOn()).toBe(false)
    server.overwrite({ holderIdentity: 'b' })
    await clock.advance(0)
    expect(seen).toMatchObject({ told: true, result: 'lost' })
  })

  test('a renewal whose answer came during a pause is no longer worth anything', async () => {
    const { server, clock, candidate } = createBench()
    const { term } = candidate('a', {
      ...server.client,
      mergePatch: (...args) => {
        clock.pass(20_000)
        return server.client.mergePatch(...args)
      },
    })
    await clock.advance(2_000)
    expect(term.isOn()).toBe(false)
  })

  test.each([
    ['forward', 86_400_000],
    ['back', -86_400_000],
  ])('the time of day set %s by a day makes neither a loss nor a second leader', async (_way, ms) => {
    const { clock, candidate } = createBench()
    const first = candidate('a')
    await clock.advance(0)
    const second = candidate('b')
    await clock.advance(5_000)
    clock.setBy(ms)
    await clock.advance(60_000)
    expect(first.seen).toMatchObject({ told: false, result: undefined })
    expect(first.term.isOn()).toBe(true)
    expect(second.seen.leads).toBe(false)
  })

  test('a lease that another has written is lost at once', async () => {
    const { server, clock, candidate } = createBench()
    const { seen } = candidate('a')
    await clock.advance(0)
    server.overwrite({ holderIdentity: 'thief' })
    await clock.advance(2_000)
    expect(seen).toMatchObject({ told: true, result: 'lost' })
  })

  test('a change to the lease that is not about its holder is no loss', async () => {
    const { server, clock, candidate } = createBench()
    const { seen } = candidate('a')
    await clock.advance(0)
    server.overwrite({ strategy: 'OldestEmulationVersion' })
    await clock.advance(60_000)
    expect(seen).toMatchObject({ told: false, result: undefined })
  })

  test('a stop ends the work first, renewing all the while, then gives the lease back: the next leads at once', async () => {
    const { server, clock, candidate } = createBench()
    const first = candidate('a')
    await clock.advance(0)
    const second = candidate('b')
    await clock.advance(5_000)
    first.stop.abort()
    await clock.advance(40_000)
    expect(first.seen).toMatchObject({ told: true, result: undefined })
    expect(server.spec()).toMatchObject({ holderIdentity: 'a' })
    expect(second.seen.leads).toBe(false)

    first.endWork()
    await clock.advance(0)
    expect(first.seen.result).toBe('stopped')
    expect(server.spec()).toMatchObject({ holderIdentity: '' })
    await clock.advance(2_000)
    expect(second.seen.leads).toBe(true)
  })

  test('a stop while waiting leaves the lease alone', async () => {
    const { server, clock, candidate } = createBench()
    candidate('a')
    await clock.advance(0)
    const second = candidate('b')
    await clock.advance(3_000)
    second.stop.abort()
    await clock.advance(0)
    expect(second.seen).toMatchObject({ leads: false, result: 'stopped' })
    expect(server.spec()).toMatchObject({ holderIdentity: 'a' })
  })

  test('work that fails gives the lease back, and its error comes out', async () => {
    const { server, clock, candidate, metrics } = createBench()
    const { seen, failWork } = candidate('a')
    await clock.advance(3_000)
    failWork(new Error('of the work'))
    await clock.advance(0)
    expect(String(seen.result)).toContain('of the work')
    expect(server.spec()).toMatchObject({ holderIdentity: '' })
    expect(await metrics.text()).toContain('leader_election_master_status{name="lock"} 0')
    expect(clock.pending()).toBe(0)
  })
})
