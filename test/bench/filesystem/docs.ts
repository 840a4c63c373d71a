import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { between, table } from '../page.ts'
import { plot } from './plot.ts'
import { type DiskWork, namesOf, type Ratio, type Run, readRuns, runName } from './results.ts'

const docs = join(import.meta.dirname, '../../../docs')
const plots = join(docs, 'plots')
const data = join(plots, 'data')
const page = join(docs, 'speed.md')

const number = (value: number): string => (value >= 10 ? value.toFixed(0) : value.toFixed(2))

/** Bold where the aim is missed. */
const ratioCell = ({ median, lower, upper, best }: Ratio, aim: number): string => {
  const spread = `(${number(lower)}–${number(upper)}) · ${number(best)}`
  return median >= aim ? `${number(median)} ${spread}` : `**${number(median)}** ${spread}`
}

const find = (run: Run, variant: string, workload: string) =>
  run.results.find((result) => result.variant === variant && result.workload === workload)

/** Workloads down, variants across. */
const ratioTable = (run: Run): string => {
  const variants = namesOf(run, 'variant')
  const rows = namesOf(run, 'workload').map((workload) => {
    const results = variants.map((variant) => find(run, variant, workload))
    const aim = results[0]?.aim ?? Number.NaN
    return [workload, String(aim), ...results.map((result) => (result ? ratioCell(result.ratio, result.aim) : ''))]
  })
  return table(['', 'aim', ...variants], rows)
}

const workCell = (work: DiskWork | undefined): string =>
  work === undefined ? '' : `${work.kibibytesWritten.toFixed(0)} KiB, ${work.flushes.toFixed(1)}`

/**
 * What one fsync makes the disk do: what it writes, and how often it empties its cache. Requests would mislead: an empty
 * flush counts as one.
 */
const diskTable = (run: Run): string => {
  const workloads = namesOf(run, 'workload').filter((workload) => workload.endsWith('fsync'))
  const variants = namesOf(run, 'variant')
  const reference = workloads.map((workload) => workCell(find(run, variants[0] ?? '', workload)?.disk?.reference))
  const rows = variants.map((variant) => [
    variant,
    ...workloads.map((workload) => workCell(find(run, variant, workload)?.disk?.own)),
  ])
  return table(['', ...workloads], [['host directory', ...reference], ...rows])
}

/** Both tables of a run, for people. */
export const tables = (run: Run): string => `${ratioTable(run)}\n\n${diskTable(run)}`

export const keepRun = (run: Run): void => {
  writeFileSync(join(data, `${runName(run)}.json`), `${JSON.stringify(run, undefined, 1)}\n`)
}

/** Draws every kept run, and renews the tables that docs/speed.md shows of it. */
export const drawDocs = (): void => {
  const runs = readRuns(data)
  for (const run of runs) writeFileSync(join(plots, `${runName(run)}.svg`), plot(run))
  const text = runs.reduce(
    (so, run) => {
      const withRatios = between(so, `ratios ${runName(run)}`, ratioTable(run))
      return between(withRatios, `disk ${runName(run)}`, diskTable(run))
    },
    readFileSync(page, 'utf8'),
  )
  writeFileSync(page, text)
}
