import { median } from '../statistics.ts'
import { colour, document, text } from '../svg.ts'
import { aims } from './aims.ts'
import { type Burst, type Growth, type Latency, type Quantiles, sizeOf } from './results.ts'

const one = (value: number): string => (value >= 10 ? value.toFixed(0) : value.toFixed(1))

const line = (from: { x: number; y: number }, to: { x: number; y: number }, stroke: string, more = ''): string =>
  `<line x1="${one(from.x)}" y1="${one(from.y)}" x2="${one(to.x)}" y2="${one(to.y)}" stroke="${stroke}"${more}/>`

const dashed = ' stroke-dasharray="3 3"'

const bar = { label: 190, width: 320, figure: 44, row: 20, head: 30, gap: 14 } as const

export const subjectLabels = { pod: 'pods', claimed: 'pods, each with a claim', instance: 'instances' } as const

/** One group a size: how many become Ready a second, and the aim, which is a share of what pods with a claim reach. */
export const plotBursts = (bursts: readonly Burst[]): string => {
  const subjects = ['pod', 'claimed', 'instance'] as const
  const most = Math.max(...bursts.flatMap(({ rates }) => subjects.map((subject) => median(rates[subject]))))
  const group = bar.head + subjects.length * bar.row + bar.gap
  const x = (rate: number): number => bar.label + (rate / most) * bar.width
  const drawn = bursts.map((burst, index) => {
    const { rates } = burst
    const aim = x(aims.readyShare * median(rates.claimed))
    const isMet = median(rates.instance) >= aims.readyShare * median(rates.claimed)
    const rows = subjects.map((subject, row) => {
      const rate = median(rates[subject])
      const y = bar.head + row * bar.row
      const fill = subject !== 'instance' ? colour.one : isMet ? colour.met : colour.missed
      return [
        text({ x: bar.label - 8, y: y + 11, anchor: 'end' }, subjectLabels[subject]),
        `<rect x="${bar.label}" y="${y}" width="${one(x(rate) - bar.label)}" height="14" fill="${fill}"/>`,
        text({ x: x(rate) + 5, y: y + 11 }, one(rate)),
      ].join('')
    })
    const y = bar.head + 2 * bar.row
    return [
      `<g transform="translate(0 ${index * group})">`,
      `<text x="${bar.label}" y="18" font-weight="bold">${sizeOf(burst)}: Ready per second</text>`,
      ...rows,
      line({ x: aim, y: y - 3 }, { x: aim, y: y + 17 }, colour.aim, dashed),
      '</g>',
    ].join('\n')
  })
  const size = { width: bar.label + bar.width + bar.figure, height: bursts.length * group }
  return document(size, 'How many instances become Ready a second, against pods', drawn)
}

const chart = { left: 50, top: 16, width: 460, height: 220, foot: 34, right: 20 } as const

/** Anonymous memory over the number of instances, with the aims as rings. */
export const plotMemory = ({ memory, running }: Growth): string => {
  const most = { instances: Math.max(...memory.map(({ instances }) => instances)), mebibytes: 220 }
  const at = ({ instances, mebibytes }: Growth['memory'][number]) => ({
    x: chart.left + (instances / most.instances) * chart.width,
    y: chart.top + (1 - mebibytes / most.mebibytes) * chart.height,
  })
  const grid = [0, 50, 100, 150, 200].flatMap((mebibytes) => {
    const [from, to] = [at({ instances: 0, mebibytes }), at({ instances: most.instances, mebibytes })]
    return [line(from, to, colour.grid), text({ x: chart.left - 8, y: from.y + 4, anchor: 'end' }, String(mebibytes))]
  })
  const points = memory.map(at)
  const foot = chart.top + chart.height
  return document(
    { width: chart.left + chart.width + chart.right, height: foot + chart.foot },
    'Anonymous memory of the controller over the number of instances',
    [
      ...grid,
      `<polyline points="${points.map(({ x, y }) => `${one(x)},${one(y)}`).join(' ')}" fill="none" stroke="${colour.met}" stroke-width="2"/>`,
      ...points.map(({ x, y }) => `<circle cx="${one(x)}" cy="${one(y)}" r="4" fill="${colour.met}"/>`),
      ...aims.memory
        .filter(({ instances }) => instances <= most.instances)
        .map(at)
        .map(({ x, y }) => `<circle cx="${one(x)}" cy="${one(y)}" r="5" fill="none" stroke="${colour.aim}"/>`),
      ...memory.map(({ instances }, index) =>
        text({ x: points[index]?.x ?? 0, y: foot + 16, anchor: 'middle' }, String(instances)),
      ),
      text(
        { x: chart.left, y: foot + 30 },
        `MiB over instances, each with an overlay; ${running} of them run; rings are the aims`,
      ),
    ],
  )
}

const scale = { left: 220, width: 360, from: 1, to: 10_000, row: 22, head: 14, foot: 36 } as const

/** Median, p90 and p99 as dots on a logarithmic scale. */
export const plotLatency = (latencies: readonly Latency[]): string => {
  const x = (ms: number): number => {
    const clipped = Math.min(Math.max(ms, scale.from), scale.to)
    return scale.left + (Math.log(clipped / scale.from) / Math.log(scale.to / scale.from)) * scale.width
  }
  const bottom = scale.head + latencies.length * scale.row
  const column = (ms: number, stroke: string, more = ''): string =>
    line({ x: x(ms), y: scale.head - 6 }, { x: x(ms), y: bottom }, stroke, more)
  const ticks = [1, 10, 100, 1_000, 10_000]
  const rows = latencies.flatMap(({ what, quantiles }, index) => {
    const y = scale.head + index * scale.row + 6
    const dot = (of: keyof Quantiles, radius: number): string =>
      `<circle cx="${one(x(quantiles[of]))}" cy="${y}" r="${radius}" fill="${colour.met}"/>`
    return [
      text({ x: scale.left - 10, y: y + 4, anchor: 'end' }, what),
      line({ x: x(quantiles.p50), y }, { x: x(quantiles.p99), y }, colour.met),
      dot('p50', 5),
      dot('p90', 3),
      dot('p99', 3),
    ]
  })
  return document({ width: scale.left + scale.width + 30, height: bottom + scale.foot }, 'From apply to the pod', [
    ...ticks.flatMap((tick) => [
      column(tick, colour.grid),
      text({ x: x(tick), y: bottom + 14, anchor: 'middle' }, String(tick)),
    ]),
    ...[aims.latency.p50, aims.latency.p99].map((ms) => column(ms, colour.aim, dashed)),
    ...rows,
    text({ x: scale.left, y: bottom + 30 }, 'ms; dots at p50, p90 and p99, lines at the aims for p50 and p99'),
  ])
}
