import { describe, expect, test } from 'vitest'
import { fillIn, legendOf, parseLabelValues, readDashboard } from './model.ts'
import { withUnit } from './units.ts'

describe('the dashboard of the chart', () => {
  const { panels, templating } = readDashboard()

  test('can be drawn: its panels, units and variables are known here', () => {
    expect(panels.filter(({ targets }) => targets.length > 0).length).toBeGreaterThan(30)
    const known = new Map([
      ['__rate_interval', '20s'],
      ...templating.list.map(({ name }): [string, string] => [name, '.*']),
    ])
    for (const { expr } of panels.flatMap(({ targets }) => targets)) expect(fillIn(expr, known)).not.toContain('$')
  })

  test('has no panel upon another', () => {
    const cells = panels.flatMap(({ gridPos: { x, y, w, h } }) =>
      Array.from({ length: w * h }, (_, index) => `${x + (index % w)},${y + Math.floor(index / w)}`),
    )
    expect(new Set(cells).size).toBe(cells.length)
  })
})

test('a variable without a value is told', () => {
  expect(() => fillIn('up{job=~"$agent"}', new Map())).toThrow('$agent has no value in: up{job=~"$agent"}')
})

test('what a variable chooses from is read', () => {
  expect(parseLabelValues('label_values(up{job="a, b"}, job)')).toEqual({ series: 'up{job="a, b"}', label: 'job' })
  expect(() => parseLabelValues('metrics(up)')).toThrow('no label_values(…, …): metrics(up)')
})

test('a legend has what a series has', () => {
  expect(legendOf('{{namespace}}/{{overlay}} bytes', { namespace: 'a', overlay: 'b' })).toBe('a/b bytes')
  expect(legendOf('{{none}}', {})).toBe('')
})

test.each([
  ['none', 3, '3'],
  ['percentunit', 0.8567, '85.7 %'],
  ['bytes', 0, '0 B'],
  ['bytes', 64 * 1024 ** 2, '64 MiB'],
  ['Bps', 1_250_000, '1.25 MB/s'],
  ['ops', 0.0333, '0.033/s'],
  ['reqps', 12, '12/s'],
  ['s', 0.005, '5 ms'],
  ['s', 2.5, '2.5 s'],
] as const)('of unit %s, %d is %s', (unit, value, shown) => {
  expect(withUnit(unit, value)).toBe(shown)
})
