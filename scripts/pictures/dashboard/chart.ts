import * as echarts from 'echarts'
import { type Answered, font, unitOf } from './model.ts'
import { withUnit } from './units.ts'

interface Size {
  width: number
  height: number
}

type Series = Answered['series'][number]

const greatest = ({ samples }: Series): number => Math.max(...samples.map(([, value]) => value))

/** Those of the greatest series whose names fit into a line. */
const namedIn = (series: readonly Series[], width: number): string[] => {
  const names: string[] = []
  let room = width - 90
  for (const { name } of series.toSorted((one, other) => greatest(other) - greatest(one))) {
    room -= 34 + name.length * 6
    if (room < 0) break
    names.push(name)
  }
  return names
}

/** Bytes are marked where powers of two are. */
const marksOf = (answered: Answered, stacked: boolean): { interval?: number; max?: number } => {
  if (unitOf(answered.panel) !== 'bytes') return {}
  const maxima = answered.series.map(greatest)
  const top = stacked ? maxima.reduce((sum, value) => sum + value, 0) : Math.max(...maxima)
  const interval = 2 ** Math.ceil(Math.log2(Math.max(top, 4) / 4))
  return { interval, max: Math.ceil(top / interval) * interval }
}

/** Without what only a mouse would notice, and hundredths of a pixel in its lines. */
const slim = (svg: string): string =>
  svg
    .replaceAll(' pointer-events="visible"', '')
    .replaceAll(/ d="[^"]*"/g, (path) =>
      path.replaceAll(/\d+\.\d{2,}/g, (number) => Number(number).toFixed(1).replace('.0', '')),
    )

/**
 * A panel's lines, with the names of as many as there is room for.
 *
 * @param range seconds since 1970
 */
export const chartOf = (
  answered: Answered,
  range: { from: number; to: number },
  { width, height }: Size,
): { svg: string; unnamed: number } => {
  const { panel, series } = answered
  const { min, max, custom } = panel.fieldConfig?.defaults ?? {}
  const stacked = custom?.stacking?.mode === 'normal'
  const named = namedIn(series, width)
  const chart = echarts.init(null, null, { renderer: 'svg', ssr: true, width, height })
  try {
    chart.setOption({
      animation: false,
      useUTC: true,
      textStyle: { fontFamily: font },
      grid: { left: 62, right: 12, top: 8, bottom: 44 },
      legend: {
        data: named,
        ...{ left: 8, bottom: 0, icon: 'rect', itemWidth: 12, itemHeight: 6, itemGap: 16, textStyle: { fontSize: 10 } },
      },
      xAxis: {
        type: 'time',
        min: range.from * 1000,
        max: range.to * 1000,
        axisLabel: { formatter: '{HH}:{mm}', fontSize: 10, hideOverlap: true },
        splitNumber: 4,
      },
      yAxis: {
        type: 'value',
        ...(min === undefined ? {} : { min }),
        ...(max === undefined ? {} : { max }),
        splitNumber: 4,
        ...marksOf(answered, stacked),
        axisLabel: { fontSize: 10, formatter: (value: number) => withUnit(unitOf(panel), value) },
      },
      series: series.map(({ name, samples }) => ({
        name,
        type: 'line',
        showSymbol: false,
        lineStyle: { width: 1.5 },
        // Of many, the areas would hide one another.
        areaStyle: { opacity: stacked || series.length < 4 ? 0.1 : 0 },
        ...(stacked ? { stack: 'all' } : {}),
        data: samples.map(([seconds, value]) => [seconds * 1000, value]),
      })),
    })
    return { svg: slim(chart.renderToSVGString()), unnamed: series.length - named.length }
  } finally {
    chart.dispose()
  }
}
