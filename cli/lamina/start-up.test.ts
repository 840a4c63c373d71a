import { performance } from 'node:perf_hooks'
import { expect, test } from 'vitest'
import { type Outcome, useCliBench } from './testing/bench.ts'

const bench = await useCliBench()

/** Milliseconds of the fastest of some runs: what others do on the machine meanwhile counts as little as can be. */
const fastest = (run: () => Outcome): number => {
  const runs = Array.from({ length: 20 }, () => {
    const before = performance.now()
    expect(run().code).toBe(0)
    return performance.now() - before
  })
  return Math.min(...runs)
}

// The aims are 150 and 60 ms where Node itself starts in 26.
test.each([
  [150 / 26, ['--help']],
  [3.5, ['exec', 'busybox.sqfs', 'true']],
])('takes at most %d times as long as Node with nothing to do: lamina %j', (times, args) => {
  const node = fastest(() => bench.node(['-e', '0']))
  expect(fastest(() => bench.lamina(args)) / node).toBeLessThan(times)
})
