import { colour, document, escapeXml, text } from '../svg.ts'
import { namesOf, type Ratio, type Result, type Run } from './results.ts'

/**
 * One panel a workload: a dot for each variant's median on a logarithmic scale, a bar from quartile to quartile, lines at
 * the host directory's speed and at the aim.
 */

const panel = { width: 520, label: 190, figure: 44, head: 34, row: 17, foot: 22, gap: 16 } as const
const columns = 2
const scale = { from: 0.1, to: 10, ticks: [0.1, 0.2, 0.5, 1, 2, 5, 10] } as const

const x = (value: number): number => {
  const clipped = Math.min(Math.max(value, scale.from), scale.to)
  const share = Math.log(clipped / scale.from) / Math.log(scale.to / scale.from)
  return Math.round((panel.label + share * (panel.width - panel.label - panel.figure)) * 10) / 10
}

const vertical = (value: number, height: number, stroke: string, dashes = ''): string =>
  `<line x1="${x(value)}" x2="${x(value)}" y1="${panel.head - 8}" y2="${height}" stroke="${stroke}"${dashes}/>`

const figure = (value: number): string => (value >= 10 ? value.toFixed(0) : value.toFixed(2))

const drawRow = (name: string, { median, lower, upper }: Ratio, aim: number, y: number): string => {
  const stroke = median >= aim ? colour.met : colour.missed
  return [
    text({ x: panel.label - 10, y: y + 4, anchor: 'end' }, name),
    `<line x1="${x(lower)}" x2="${x(upper)}" y1="${y}" y2="${y}" stroke="${stroke}" stroke-width="5" stroke-opacity="0.35"/>`,
    `<circle cx="${x(median)}" cy="${y}" r="4" fill="${stroke}"/>`,
    text({ x: panel.width - 4, y: y + 4, anchor: 'end' }, figure(median)),
  ].join('')
}

const drawPanel = (results: readonly Result[]): string => {
  const [first] = results
  if (first === undefined) return ''
  const bottom = panel.head + results.length * panel.row
  const rows = results.map(({ variant, ratio, aim }, index) =>
    drawRow(variant, ratio, aim, panel.head + index * panel.row + 6),
  )
  const ticks = scale.ticks.map((tick) => text({ x: x(tick), y: bottom + 14, anchor: 'middle' }, String(tick)))
  return [
    `<text x="${panel.label}" y="14" font-weight="bold">${escapeXml(`${first.workload} (aim ${first.aim})`)}</text>`,
    ...scale.ticks.map((tick) => vertical(tick, bottom, tick === 1 ? colour.one : colour.grid)),
    vertical(first.aim, bottom, colour.aim, ' stroke-dasharray="3 3"'),
    ...rows,
    ...ticks,
  ].join('\n')
}

/** The run as an SVG document. */
export const plot = (run: Run): string => {
  const workloads = namesOf(run, 'workload')
  const height = panel.head + namesOf(run, 'variant').length * panel.row + panel.foot + panel.gap
  const size = { width: columns * panel.width + panel.gap, height: Math.ceil(workloads.length / columns) * height }
  const panels = workloads.map((workload, index) => {
    const at = { x: (index % columns) * (panel.width + panel.gap), y: Math.floor(index / columns) * height }
    const drawn = drawPanel(run.results.filter((result) => result.workload === workload))
    return `<g transform="translate(${at.x} ${at.y})">\n${drawn}\n</g>`
  })
  return document(size, 'Speed of each way to keep what is written, against the host directory', panels)
}
