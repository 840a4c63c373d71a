/**
 * Runs the tests and closes with their count.
 *
 * usage: test.ts [check | unit [FILTER…] | e2e [FILTER…] | nodes [FILTER…]], all of them without an argument
 */
import { ensureBinaries } from '../test/cluster/builds.ts'
import { runChecks } from './checks.ts'
import { summaryOf, type Tally, total } from './tally.ts'
import { runVitest } from './vitest.ts'

const print = (text: string): void => {
  process.stdout.write(`${text}\n`)
}

const [chosen, ...filters] = process.argv.slice(2)

const stages = {
  check: () => runChecks(print),
  unit: () => runVitest('unit', filters),
  nodes: () => runVitest('nodes', filters, { saysAllAtItsEnd: chosen === undefined }),
  e2e: () => runVitest('e2e', filters),
}
type Stage = keyof typeof stages

const timed = async (name: Stage): Promise<Tally> => {
  const start = performance.now()
  const tally = await stages[name]()
  print(`${name} took ${Math.round((performance.now() - start) / 1000)} s`)
  return tally
}

const isStage = (name: string): name is Stage => Object.hasOwn(stages, name)

/** One round after the other. Tests of nodes wait for container runtimes most of their time: beside others, they take none. */
const rounds: Stage[][] = chosen === undefined ? [['check'], ['unit', 'nodes'], ['e2e']] : [[chosen].filter(isStage)]

const tallies: Tally[] = []
for (const names of rounds) {
  // It takes both cores for minutes: tests that have time limits would run beside it.
  if (names.includes('nodes')) await ensureBinaries(print)
  tallies.push(...(await Promise.all(names.map(timed))))
}
const result = total(tallies)
print(summaryOf(result))
process.exitCode = result.failures.length > 0 || tallies.length === 0 ? 1 : 0
