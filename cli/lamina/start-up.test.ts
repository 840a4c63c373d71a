import { performance } from 'node:perf_hooks'
import { expect, test } from 'vitest'
import { type Outcome, useCliBench } from './testing/bench.ts'

const bench = await useCliBench()

const millisecondsOf = (run: () => Outcome): number => {
  const before = performance.now()
  expect(run().code).toBe(0)
  return performance.now() - before
}

const fewestRuns = 20
const longestMs = 45_000

/**
 * How many times as long one takes as the other, each by its fastest run. They take turns, so that others on the
 * machine slow down both; and as long as that is more than the aim, more runs may find a quieter moment: one that is slow by itself finds none.
 */
const ratioOf = (run: () => Outcome, other: () => Outcome, aim: number): number => {
  const deadline = performance.now() + longestMs
  let [fastest, fastestOther] = [Number.POSITIVE_INFINITY, Number.POSITIVE_INFINITY]
  for (let runs = 0; ; runs++) {
    const ratio = fastest / fastestOther
    if (runs >= fewestRuns && (ratio < aim || performance.now() > deadline)) return ratio
    fastest = Math.min(fastest, millisecondsOf(run))
    fastestOther = Math.min(fastestOther, millisecondsOf(other))
  }
}

// The aims are 150 and 60 ms where Node itself starts in 26.
test.each([
  [150 / 26, ['--help']],
  [3.5, ['exec', 'busybox.sqfs', 'true']],
])('takes at most %d times as long as Node with nothing to do: lamina %j', (times, args) => {
  const node = () => bench.node(['-e', '0'])
  expect(ratioOf(() => bench.lamina(args), node, times)).toBeLessThan(times)
})
