import { escapeXml } from '../../../test/bench/svg.ts'
import type { Film, Line, Run } from './film.ts'

/**
 * An SVG that moves by CSS alone, so that it does as a picture in a page. For
 * who wants no motion, and for what does not know CSS, it is the last frame.
 */

const cell = { width: 8.4, height: 19, size: 14 }
const margin = { x: 16, top: 40, bottom: 14 }

const ofLength = (columns: number): string => (columns * cell.width).toFixed(1).replace(/\.0$/, '')

const drawRun = ({ column, text, colour, bold, dim }: Run): string => {
  const attributes = [
    colour === undefined ? '' : ` fill="${colour}"`,
    bold ? ' font-weight="700"' : '',
    dim ? ' opacity=".6"' : '',
  ].join('')
  const length = `x="${ofLength(column)}" textLength="${ofLength([...text].length)}"`
  return `<tspan ${length}${attributes}>${escapeXml(text)}</tspan>`
}

const rectangle = (column: number, columns: number, row: number, fill: string): string =>
  `<rect x="${ofLength(column)}" y="${row * cell.height}" width="${ofLength(columns)}" height="${cell.height}" fill="${fill}"/>`

const drawLine = ({ row, runs, cursor }: Line): string => {
  const grounds = runs.flatMap(({ column, text, ground }) =>
    ground === undefined ? [] : [rectangle(column, text.length, row, ground)],
  )
  const words = runs.filter(({ text, ground }) => text.trim() !== '' || ground !== undefined).map(drawRun)
  return [
    ...grounds,
    words.length > 0 ? `<text y="${row * cell.height + cell.size}">${words.join('')}</text>` : '',
    cursor === undefined ? '' : rectangle(cursor, 1, row, '#8b949e'),
  ].join('')
}

const percent = (ms: number, lengthMs: number): string => `${((ms / lengthMs) * 100).toFixed(2).replace(/\.?0+$/, '')}%`

/** The lines that come and go together, with the animation that shows them. */
const drawMoment = (lines: readonly Line[], name: string, lengthMs: number): { style: string; body: string } => {
  const { fromMs = 0, toMs } = lines[0] ?? {}
  const body = lines.map(drawLine).join('')
  if (fromMs === 0 && toMs === undefined) return { style: '', body: `<g>${body}</g>` }
  const steps = [
    ...(fromMs === 0 ? [] : ['0%{visibility:hidden}']),
    `${percent(fromMs, lengthMs)}{visibility:visible}`,
    ...(toMs === undefined ? [] : [`${percent(toMs, lengthMs)}{visibility:hidden}`]),
  ]
  return {
    style: `@keyframes ${name}{${steps.join('')}}`,
    body: `<g class="m${toMs === undefined ? '' : ' gone'}" style="animation-name:${name}">${body}</g>`,
  }
}

export const drawFilm = ({ columns, rows, lines, scroll, lengthMs }: Film, title: string): string => {
  const width = Math.ceil(columns * cell.width) + 2 * margin.x
  const height = rows * cell.height + margin.top + margin.bottom
  const moments = Object.values(Object.groupBy(lines, ({ fromMs, toMs }) => `${fromMs}-${toMs}`))
  const drawn = moments.map((moment, index) => drawMoment(moment ?? [], `k${index}`, lengthMs))
  const rolled = (top: number): string => `transform:translateY(${-top * cell.height}px)`
  const rolls = scroll.map(({ fromMs, top }) => `${percent(fromMs, lengthMs)}{${rolled(top)}}`)
  const inner = `x="${margin.x}" y="${margin.top}" width="${width - 2 * margin.x}" height="${rows * cell.height}"`
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}" viewBox="0 0 ${width} ${height}">`,
    `<title>${escapeXml(title)}</title>`,
    '<style>',
    `text{font:${cell.size}px ui-monospace,SFMono-Regular,Menlo,Consolas,"DejaVu Sans Mono",monospace;white-space:pre;fill:#e6edf3}`,
    `.m,.roll{animation:${lengthMs}ms step-end infinite}.gone{visibility:hidden}`,
    `.roll{animation-name:roll;${rolled(scroll.at(-1)?.top ?? 0)}}`,
    `@keyframes roll{${rolls.join('')}}`,
    ...drawn.map(({ style }) => style).filter((style) => style !== ''),
    '@media (prefers-reduced-motion:reduce){.m,.roll{animation:none}}',
    '</style>',
    `<rect x=".5" y=".5" width="${width - 1}" height="${height - 1}" rx="8" fill="#0d1117" stroke="#6e7681"/>`,
    ...['#ff5f57', '#febc2e', '#28c840'].map(
      (fill, index) => `<circle cx="${margin.x + 6 + index * 20}" cy="20" r="6" fill="${fill}"/>`,
    ),
    `<svg ${inner}><g class="roll">`,
    ...drawn.map(({ body }) => body),
    '</g></svg>',
    '</svg>',
    '',
  ].join('\n')
}
