/**
 * Runs the tests and closes with their count.
 *
 * usage: test.ts [check | unit [FILTER…] | e2e [FILTER…] | nodes [FILTER…]], all of them without an argument
 */
import { runChecks } from './checks.ts'
import { summaryOf, type Tally, total } from './tally.ts'
import { runVitest } from './vitest.ts'

const print = (text: string): void => {
  process.stdout.write(`${text}\n`)
}

const [stage, ...filters] = process.argv.slice(2)

const stages: Record<string, () => Promise<Tally>> = {
  check: () => runChecks(print),
  unit: () => runVitest('unit', filters),
  e2e: () => runVitest('e2e', filters),
  nodes: () => runVitest('nodes', filters),
}

const tallies: Tally[] = []
for (const [name, run] of Object.entries(stages)) {
  if (stage !== undefined && stage !== name) continue
  const start = performance.now()
  tallies.push(await run())
  print(`${name} took ${Math.round((performance.now() - start) / 1000)} s`)
}
const result = total(tallies)
print(summaryOf(result))
process.exitCode = result.failures.length > 0 || tallies.length === 0 ? 1 : 0
