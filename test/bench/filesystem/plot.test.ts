import { describe, expect, test } from 'vitest'
import { plot } from './plot.ts'
import type { Result, Run } from './results.ts'

const result = (variant: string, workload: string, median: number): Result => ({
  variant,
  workload,
  aim: 0.9,
  ratio: { median, lower: median / 2, upper: median * 2, best: median },
  rate: 1,
})

const run = (...results: Result[]): Run => ({ set: 'ways', backing: 'ext4', rounds: 5, kernel: '6.18', results })

const dots = (svg: string): { x: number; fill: string }[] =>
  [...svg.matchAll(/<circle cx="([\d.]+)" cy="[\d.]+" r="4" fill="(#\w+)"/g)].map(([, x = '', fill = '']) => ({
    x: Number(x),
    fill,
  }))

describe('a plot', () => {
  test('has a panel for each workload and a dot for each variant in it', () => {
    const svg = plot(
      run(result('a', 'read', 1), result('a', 'write', 1), result('b', 'read', 1), result('b', 'write', 1)),
    )
    expect(svg.match(/<g /g)).toHaveLength(2)
    expect(dots(svg)).toHaveLength(4)
  })

  test('is logarithmic: half and double are as far from one', () => {
    const [half, one, double] = dots(plot(run(result('a', 'w', 0.5), result('b', 'w', 1), result('c', 'w', 2))))
    expect((one?.x ?? 0) - (half?.x ?? 0)).toBeCloseTo((double?.x ?? 0) - (one?.x ?? 0), 0)
  })

  test('tells by colour what misses its aim', () => {
    const [missed, met] = dots(plot(run(result('a', 'w', 0.89), result('b', 'w', 0.9))))
    expect(missed?.fill).not.toBe(met?.fill)
  })

  test('keeps what is off the scale at its edge, with its figure', () => {
    const svg = plot(run(result('a', 'w', 10), result('b', 'w', 160)))
    const [ten, far] = dots(svg)
    expect(far?.x).toBe(ten?.x)
    expect(svg).toContain('>160</text>')
  })

  test('is well-formed whatever the names', () => {
    expect(plot(run(result('a < b & "c"', 'w', 1)))).toContain('a &lt; b &amp; &quot;c&quot;')
  })
})
