import { describe, expect, test } from 'vitest'
import { createFlowControl, type Refusal, retriesAtMost, retryDelay } from './flow-control.ts'
import { createManualClock } from './testing/manual-clock.ts'

const delayOf = (refusal: Partial<Refusal>, random = 0) =>
  retryDelay({ method: 'PATCH', status: 429, retryAfter: '2', tries: 0, ...refusal }, () => random)

describe('a request that is refused', () => {
  test.each([
    ['too many requests: when the server says, whatever it is', {}, 2_000],
    ['too many requests, for longer than anybody waits', { retryAfter: '3600' }, 10_000],
    ['too many requests, without a word when', { retryAfter: undefined }, 250],
    ['the same once more', { retryAfter: undefined, tries: 1 }, 500],
    ['too many requests, with a date', { retryAfter: 'Wed, 21 Oct 2026 07:28:00 GMT' }, 250],
    ['a server that goes down, asked for a read', { method: 'GET', status: 503 }, 2_000],
    ['a gateway that gave up waiting, asked for a read', { method: 'GET', status: 504 }, 2_000],
    ['a server that goes down, asked for a write: it may have been done', { status: 503 }, undefined],
    ['a server that fails and does not say when', { method: 'GET', status: 500, retryAfter: undefined }, undefined],
    ['a conflict', { status: 409 }, undefined],
    ['too often', { tries: retriesAtMost }, undefined],
  ] satisfies [string, Partial<Refusal>, number | undefined][])('%s', (_what, refusal, delay) => {
    expect(delayOf(refusal)).toBe(delay)
  })

  test('comes back somewhat later than asked, each at another time', () => {
    expect(delayOf({}, 0.5)).toBe(2_250)
    expect(delayOf({}, 1)).toBe(2_500)
  })
})

test('all wait while the server holds one of them back, and no shorter word ends a longer', async () => {
  const clock = createManualClock()
  const control = createFlowControl(clock)
  await control.open()
  let opened = 0
  control.hold(1_000)
  const waiting = [control.open(), control.open()].map((open) => open.then(() => opened++))
  await clock.advance(500)
  control.hold(2_000)
  control.hold(100)
  await clock.advance(1_999)
  expect(opened).toBe(0)
  await clock.advance(1)
  expect(opened).toBe(2)
  await Promise.all(waiting)
  expect(clock.pending()).toBe(0)
})
