import { escapeXml } from '../../../test/bench/svg.ts'
import { chartOf } from './chart.ts'
import { type Answered, font, type Panel, unitOf } from './model.ts'
import { withUnit } from './units.ts'

const width = 1200
const unitHeight = 30
const gap = 8
const head = 26
const top = 52

const colours: Readonly<Record<string, string>> = { green: '#2a7f62', orange: '#d9822b', red: '#c4314b' }

const boxOf = ({ gridPos: { x, y, w, h } }: Panel) => ({
  x: (x / 24) * (width - gap) + gap,
  y: top + y * unitHeight,
  width: (w / 24) * (width - gap) - gap,
  height: h * unitHeight - gap,
})

const text = (x: number, y: number, content: string, attributes = ''): string =>
  `<text x="${x}" y="${y}" ${attributes}>${escapeXml(content)}</text>`

const colourOf = ({ fieldConfig }: Panel, value: number): string => {
  const reached = (fieldConfig?.defaults.thresholds?.steps ?? []).filter(
    (step) => step.value === null || step.value <= value,
  )
  return colours[reached.at(-1)?.color ?? 'green'] ?? '#303030'
}

const lastOf = ({ samples }: Answered['series'][number]): number => samples.at(-1)?.[1] ?? Number.NaN

const drawStat = ({ panel, series }: Answered): string => {
  const { x, y, width: w, height: h } = boxOf(panel)
  const [value] = series.map(lastOf)
  if (value === undefined) return ''
  const attributes = `text-anchor="middle" font-size="34" fill="${colourOf(panel, value)}"`
  return text(x + w / 2, y + head + (h - head) / 2 + 10, withUnit(unitOf(panel), value), attributes)
}

const drawBars = ({ panel, series }: Answered): string => {
  const { x, y, width: w, height: h } = boxOf(panel)
  const fullest = series.toSorted((one, other) => lastOf(other) - lastOf(one))
  const rowHeight = Math.min(28, (h - head - 12) / fullest.length)
  const max = panel.fieldConfig?.defaults.max ?? 1
  const [nameWidth, valueWidth] = [160, 56]
  const barWidth = w - nameWidth - valueWidth - 24
  return fullest
    .map((one, index) => {
      const value = lastOf(one)
      const row = y + head + 6 + index * rowHeight
      const bar = (share: number, fill: string) =>
        `<rect x="${x + nameWidth + 12}" y="${row + 3}" width="${(barWidth * share).toFixed(1)}" height="${(rowHeight - 6).toFixed(1)}" fill="${fill}"/>`
      const baseline = row + rowHeight / 2 + 4
      return [
        text(x + nameWidth + 4, baseline, one.name, 'text-anchor="end" font-size="11"'),
        bar(1, '#eeeeee'),
        bar(Math.min(1, value / max), colourOf(panel, value)),
        text(x + w - 8, baseline, withUnit(unitOf(panel), value), 'text-anchor="end" font-size="12"'),
      ].join('')
    })
    .join('')
}

/** Its ids and classes are made apart from those of other charts in the page. */
const apart = (svg: string, index: number): string => svg.replaceAll(/zr\d+-/g, `p${index}-`)

const drawLines = (answered: Answered, index: number, range: { from: number; to: number }): string => {
  const { x, y, width: w, height: h } = boxOf(answered.panel)
  const { svg, unnamed } = chartOf(answered, range, { width: w, height: h - head })
  const more =
    unnamed === 0 ? '' : text(x + w - 8, y + h - 7, `and ${unnamed} more`, 'text-anchor="end" font-size="10"')
  return `${apart(svg, index).replace('<svg ', `<svg x="${x.toFixed(1)}" y="${y + head}" `)}${more}`
}

const contentOf = (answered: Answered, index: number, range: { from: number; to: number }): string => {
  switch (answered.panel.type) {
    case 'row':
      return ''
    case 'stat':
      return drawStat(answered)
    case 'bargauge':
      return drawBars(answered)
    case 'timeseries':
      return drawLines(answered, index, range)
  }
}

const drawPanel = (answered: Answered, index: number, range: { from: number; to: number }): string => {
  const { panel } = answered
  const { x, y, width: w, height: h } = boxOf(panel)
  if (panel.type === 'row') return text(x + 2, y + 17, panel.title, 'font-size="15" font-weight="600"')
  return [
    `<rect x="${x.toFixed(1)}" y="${y}" width="${w.toFixed(1)}" height="${h}" rx="3" fill="#ffffff" stroke="#d8d8d8"/>`,
    text(x + 10, y + 18, panel.title, 'font-size="12" font-weight="600"'),
    contentOf(answered, index, range),
  ].join('\n')
}

/** @param note below the title: what this is, and is not */
export const drawDashboard = (
  title: string,
  note: string,
  answered: readonly Answered[],
  range: { from: number; to: number },
): string => {
  const height = top + gap + Math.max(...answered.map(({ panel: { gridPos } }) => gridPos.y + gridPos.h)) * unitHeight
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}" viewBox="0 0 ${width} ${height}" font-family="${font}" fill="#303030">`,
    `<title>${escapeXml(`${title}: ${note}`)}</title>`,
    `<rect width="${width}" height="${height}" fill="#f4f5f5"/>`,
    text(gap + 2, 24, title, 'font-size="18" font-weight="600"'),
    text(gap + 2, 43, note, 'font-size="12" fill="#606060"'),
    ...answered.map((each, index) => drawPanel(each, index, range)),
    '</svg>',
    '',
  ].join('\n')
}
