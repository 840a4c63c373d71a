import { readFileSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { median } from '../statistics.ts'
import { touchMemory, waitForQuiet } from './conditions.ts'
import { medianOf, readDiskWork, since } from './disk.ts'
import type { DiskWork, Ratio, Result } from './results.ts'
import { buildStack, type Ground, type Stack } from './stack.ts'
import { native, type Variant } from './variants.ts'
import type { Sources, Workload } from './workloads.ts'

/** The values a quarter of the way from either end. */
const quartiles = (values: readonly number[]): { lower: number; upper: number } => {
  const sorted = values.toSorted((a, b) => a - b)
  const index = Math.floor((sorted.length - 1) / 4)
  const [lower, upper] = [sorted.at(index), sorted.at(-1 - index)]
  if (lower === undefined || upper === undefined) throw new Error('the quartiles of nothing')
  return { lower, upper }
}

const fastest = (samples: readonly Sample[]): number => Math.max(...samples.map(({ rate }) => rate))

/** Others on the machine only ever make a run slower: so the fastest ones are compared too. */
const ratioOf = (pairs: readonly Pair[]): Ratio => {
  const ratios = pairs.map(({ own, reference }) => own.rate / reference.rate)
  return {
    median: median(ratios),
    ...quartiles(ratios),
    best: fastest(pairs.map(({ own }) => own)) / fastest(pairs.map(({ reference }) => reference)),
  }
}

const rotate = <T>(items: readonly T[], by: number): T[] => {
  const at = by % Math.max(items.length, 1)
  return [...items.slice(at), ...items.slice(0, at)]
}

interface Plan {
  variants: readonly Variant[]
  workloads: readonly Workload[]
  rounds: number
  ground: Ground
  sources: Sources
  report(line: string): void
}

/** Rates of a variant and of the host directory, taken one after the other. */
interface Pair {
  own: Sample
  reference: Sample
}

interface Sample {
  rate: number
  disk: DiskWork | undefined
}

type Pairs = Map<string, Pair[]>

const key = (variant: string, workload: string): string => `${variant}\n${workload}`

const take = async (
  workload: Workload,
  { root, disk }: Stack,
  { sources, ground: { volume } }: Plan,
): Promise<Sample> => {
  await workload.prepare(root)
  await waitForQuiet()
  await touchMemory(volume)
  const before = disk === undefined ? undefined : readDiskWork(disk)
  const { seconds, operations } = await workload.run(root, sources)
  const work = disk === undefined || before === undefined ? undefined : since(before, readDiskWork(disk), operations)
  if (workload.remove !== undefined) rmSync(join(root, workload.remove), { recursive: true })
  return { rate: operations / seconds, disk: work }
}

/**
 * Each workload on every variant in turn, and on the host directory before each: what disturbs the machine for a while
 * disturbs both.
 */
const runRound = async (reference: Stack, stacks: readonly Stack[], plan: Plan, pairs: Pairs): Promise<void> => {
  const { workloads, report } = plan
  for (const [index, workload] of workloads.entries()) {
    for (const stack of rotate(stacks, index)) {
      const pair = {
        reference: await take(workload, reference, plan),
        own: await take(workload, stack, plan),
      }
      const known = key(stack.variant.name, workload.name)
      pairs.set(known, [...(pairs.get(known) ?? []), pair])
      report(`  ${workload.name} on ${stack.variant.name}: ${(pair.own.rate / pair.reference.rate).toFixed(2)}`)
    }
  }
}

const medianWork = (pairs: readonly Pair[]): Pick<Result, 'disk'> => {
  const own = pairs.flatMap((pair) => pair.own.disk ?? [])
  const reference = pairs.flatMap((pair) => pair.reference.disk ?? [])
  return own.length === 0 || reference.length === 0
    ? {}
    : { disk: { own: medianOf(own), reference: medianOf(reference) } }
}

const summarize = ({ variants, workloads }: Plan, pairs: Pairs): Result[] =>
  variants.flatMap(({ name: variant, aim }) =>
    workloads.map(({ name: workload, aim: usual }) => {
      const taken = pairs.get(key(variant, workload)) ?? []
      const rate = median(taken.map(({ own }) => own.rate))
      return { variant, workload, aim: aim ?? usual, ratio: ratioOf(taken), rate, ...medianWork(taken) }
    }),
  )

/** Fresh images in each round; the ratio is taken within the round, the median over the rounds. */
export const measure = async (plan: Plan): Promise<Result[]> => {
  const pairs: Pairs = new Map()
  for (let round = 0; round < plan.rounds; round++) {
    plan.report(`round ${round + 1} of ${plan.rounds}, load ${readFileSync('/proc/loadavg', 'utf8').split(' ')[0]}`)
    const reference = await buildStack(native, 'native', plan.ground)
    const stacks: Stack[] = []
    try {
      for (const variant of rotate(plan.variants, round)) {
        stacks.push(await buildStack(variant, `stack-${stacks.length}`, plan.ground))
      }
      await runRound(reference, stacks, plan, pairs)
    } finally {
      for (const stack of [...stacks, reference]) await stack.remove()
    }
  }
  return summarize(plan, pairs)
}
