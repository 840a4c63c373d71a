import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { between, table } from '../page.ts'
import { median } from '../statistics.ts'
import { aims } from './aims.ts'
import { plotBursts, plotLatency, plotMemory, subjectLabels } from './plot.ts'
import { type Burst, type Latency, type Run, runSchema, sizeOf } from './results.ts'

const docs = join(import.meta.dirname, '../../../docs')
const plots = join(docs, 'plots')
const page = join(docs, 'scale.md')
const file = join(plots, 'data', 'controller', 'run.json')

/** Bold where the aim is missed. */
const held = (text: string, isMet: boolean): string => (isMet ? text : `**${text}**`)
const atMost = (value: number, aim: number, digits = 0): string => held(value.toFixed(digits), value <= aim)

const rateTable = (bursts: readonly Burst[]): string =>
  table(
    [
      'created',
      'pods',
      'pods, each with a claim',
      'instances',
      `of pods with a claim (aim ${aims.readyShare})`,
      'of pods',
      'Ready p50 / p99, s',
    ],
    bursts.map((burst) => {
      const { rates, ready } = burst
      const [pod, claimed, instance] = [median(rates.pod), median(rates.claimed), median(rates.instance)]
      const share = instance / claimed
      const seconds = (ms: number) => (ms / 1000).toFixed(1)
      return [
        sizeOf(burst),
        ...[pod, claimed, instance].map((rate) => rate.toFixed(1)),
        held(share.toFixed(2), share >= aims.readyShare),
        (instance / pod).toFixed(2),
        `${seconds(ready.instance.p50)} / ${seconds(ready.instance.p99)} (with a claim ${seconds(ready.claimed.p50)} / ${seconds(ready.claimed.p99)})`,
      ]
    }),
  )

/** What one Instance with its overlay costs, by the audit log and the controller's own count. */
const costTable = (bursts: readonly Burst[]): string => {
  const names = [...new Set(bursts.flatMap(({ requests }) => Object.keys(requests)))].toSorted()
  const queues = [...new Set(bursts.flatMap(({ reconciles }) => Object.keys(reconciles)))]
  const cells = (name: string, aim: number | undefined, values: (number | undefined)[]): string[] => [
    name,
    aim === undefined ? '' : String(aim),
    ...values.map((value) => atMost(value ?? 0, aim === undefined ? Number.POSITIVE_INFINITY : aim + 0.05, 2)),
  ]
  return table(
    ['for each instance', 'aim', ...bursts.map(sizeOf)],
    [
      ...names.map((name) =>
        cells(
          name,
          aims.writes.get(name),
          bursts.map(({ requests }) => requests[name]),
        ),
      ),
      ...queues.map((name) =>
        cells(
          `passes of the queue ${name}`,
          aims.reconciles,
          bursts.map(({ reconciles }) => reconciles[name]),
        ),
      ),
      ...(['instance', 'claimed', 'pod'] as const).map((subject) =>
        cells(
          `CPU of the rest of the control plane, ms: ${subjectLabels[subject]}`,
          undefined,
          bursts.map(({ planeMs }) => planeMs[subject]),
        ),
      ),
      cells(
        'CPU of the controller, ms',
        undefined,
        bursts.map(({ cpuMs }) => cpuMs),
      ),
    ],
  )
}

const latencyTable = (latencies: readonly Latency[]): string =>
  table(
    ['applied', `p50, ms (aim ${aims.latency.p50})`, 'p90', `p99 (aim ${aims.latency.p99})`, 'most'],
    latencies.map(({ what, quantiles: { p50, p90, p99, most } }) => [
      what,
      atMost(p50, aims.latency.p50),
      p90.toFixed(0),
      atMost(p99, aims.latency.p99),
      most.toFixed(0),
    ]),
  )

const counted = (counts: Record<string, number>): string =>
  Object.entries(counts)
    .filter(([, count]) => count > 0)
    .map(([name, count]) => `${count} ${name}`)
    .join(', ') || 'none'

const growthTable = ({ growth: { memory, restart, steady }, fanOut }: Run): string =>
  table(
    ['', 'aim', ''],
    [
      ...memory.map(({ instances, mebibytes }) => {
        const aim = aims.memory.find((each) => each.instances === instances)?.mebibytes
        return [
          `anonymous memory with ${instances} instances, MiB`,
          aim === undefined ? '' : String(aim),
          atMost(mebibytes, aim ?? Number.POSITIVE_INFINITY, 1),
        ]
      }),
      [
        `restart with ${restart.instances} instances: until all has been looked at, s`,
        String(aims.restartSeconds),
        atMost(restart.seconds, aims.restartSeconds, 1),
      ],
      [`requests of that restart, but for watches and leases`, '', counted(withoutUpkeep(restart.requests))],
      [`memory after it, MiB`, '', restart.mebibytes.toFixed(1)],
      [
        `requests in ${steady.seconds} s with nothing to do, but for watches and leases`,
        'none',
        counted(withoutUpkeep(steady.requests)),
      ],
      [`CPU in these, s`, '', steady.cpuSeconds.toFixed(2)],
      [
        `passes when one image changes under ${fanOut.instances} instances`,
        'about one each',
        counted(fanOut.reconciles),
      ],
    ],
  )

const withoutUpkeep = (requests: Record<string, number>): Record<string, number> =>
  Object.fromEntries(Object.entries(requests).filter(([name]) => !/^watch | leases$/.test(name)))

/** Keeps a whole run for {@link drawControllerDocs}. */
export const keepControllerRun = (run: Run): void => {
  mkdirSync(join(plots, 'data', 'controller'), { recursive: true })
  writeFileSync(file, `${JSON.stringify(run, undefined, 1)}\n`)
}

const drawings = {
  bursts: { title: 'Ready per second', draw: ({ bursts }: Run) => plotBursts(bursts) },
  latency: { title: 'From apply to the pod', draw: ({ latencies }: Run) => plotLatency(latencies) },
  growth: { title: 'Memory', draw: ({ growth }: Run) => plotMemory(growth) },
}

/** Draws the kept run, and renews the tables of docs/scale.md. */
export const drawControllerDocs = (): void => {
  const run = runSchema.parse(JSON.parse(readFileSync(file, 'utf8')))
  for (const [name, { draw }] of Object.entries(drawings)) {
    writeFileSync(join(plots, `controller-${name}.svg`), draw(run))
  }
  const withPlot = (name: keyof typeof drawings, content: string): string =>
    `${content}\n\n![${drawings[name].title}](plots/controller-${name}.svg)`
  const sections = {
    run: `The run: ${run.nodes} nodes, ${run.cores} cores, kernel ${run.kernel}.`,
    bursts: withPlot('bursts', rateTable(run.bursts)),
    costs: costTable(run.bursts),
    latency: withPlot('latency', latencyTable(run.latencies)),
    growth: withPlot('growth', growthTable(run)),
  }
  const text = Object.entries(sections).reduce(
    (so, [name, content]) => between(so, `controller ${name}`, content),
    readFileSync(page, 'utf8'),
  )
  writeFileSync(page, text)
}
