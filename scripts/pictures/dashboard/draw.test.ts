import { expect, test } from 'vitest'
import { drawDashboard } from './draw.ts'
import type { Answered, Panel } from './model.ts'

const range = { from: 1_000_000, to: 1_000_060 }

const panel = (type: Panel['type'], y: number, unit: 'none' | 'percentunit' = 'none'): Panel => ({
  type,
  title: `a ${type}`,
  gridPos: { x: 0, y, w: 12, h: 8 },
  fieldConfig: {
    defaults: {
      unit,
      thresholds: {
        steps: [
          { color: 'green', value: null },
          { color: 'red', value: 0.9 },
        ],
      },
    },
  },
  targets: [],
})

const draw = (...answered: Answered[]): string => drawDashboard('Lamina', 'not by Grafana', answered, range)
const shown = (svg: string): string[] => [...svg.matchAll(/<text[^>]*>([^<]*)<\/text>/g)].map(([, text = '']) => text)

test('it says what it is, and what each panel is', () => {
  const svg = draw({ panel: panel('row', 0), series: [] })
  expect(shown(svg)).toEqual(['Lamina', 'not by Grafana', 'a row'])
})

test('a figure has its unit, and the colour of its threshold', () => {
  const svg = draw({ panel: panel('stat', 0, 'percentunit'), series: [{ name: '', samples: [[1_000_060, 0.95]] }] })
  expect(svg).toMatch(/fill="#c4314b">95 %</)
})

test('bars stand from the fullest to the emptiest', () => {
  const series = [
    { name: 'empty', samples: [[1_000_060, 0.1]] satisfies [number, number][] },
    { name: 'full', samples: [[1_000_060, 1]] satisfies [number, number][] },
  ]
  expect(shown(draw({ panel: panel('bargauge', 0, 'percentunit'), series })).slice(3)).toEqual([
    'full',
    '100 %',
    'empty',
    '10 %',
  ])
})

test('lines have a legend, and no two charts share a class', () => {
  const line = (name: string) => ({
    name,
    samples: [
      [1_000_000, 1],
      [1_000_060, 2],
    ] satisfies [number, number][],
  })
  const svg = draw(
    { panel: panel('timeseries', 0), series: [line('team-a')] },
    { panel: panel('timeseries', 8), series: [line('team-b')] },
  )
  expect(shown(svg)).toEqual(expect.arrayContaining(['team-a', 'team-b']))
  const classes = (index: number) => new Set([...svg.matchAll(new RegExp(`\\bp${index}-[\\w-]+`, 'g'))].map(String))
  expect([classes(0).size > 0, classes(1).size > 0]).toEqual([true, true])
  expect(svg).not.toMatch(/zr\d/)
})

test('of too many lines the greatest are named, and the rest are counted', () => {
  const lines = Array.from({ length: 30 }, (_, index) => ({
    name: `a line with number ${index}`,
    samples: [[1_000_060, index]] satisfies [number, number][],
  }))
  const words = shown(draw({ panel: panel('timeseries', 0), series: lines }))
  expect(words).toContain('a line with number 29')
  expect(words).not.toContain('a line with number 0')
  const named = words.filter((word) => word.startsWith('a line')).length
  expect(words).toContain(`and ${30 - named} more`)
})
