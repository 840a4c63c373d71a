import type { Unit } from './model.ts'

const scaled = (value: number, base: number, suffixes: readonly string[]): string => {
  const power = value < base ? 0 : Math.min(suffixes.length - 1, Math.floor(Math.log(value) / Math.log(base)))
  return `${Number((value / base ** power).toPrecision(3))}${suffixes[power]}`
}

const binary = ['B', 'KiB', 'MiB', 'GiB', 'TiB'].map((suffix) => ` ${suffix}`)
const decimal = ['B/s', 'kB/s', 'MB/s', 'GB/s'].map((suffix) => ` ${suffix}`)

/** A value with its unit, as Grafana has it or nearly so. */
export const withUnit = (unit: Unit, value: number): string => {
  switch (unit) {
    case 'percentunit':
      return `${Number((value * 100).toPrecision(3))} %`
    case 'bytes':
      return scaled(value, 1024, binary)
    case 'Bps':
      return scaled(value, 1000, decimal)
    case 's':
      return value < 1 ? `${Number((value * 1000).toPrecision(3))} ms` : `${Number(value.toPrecision(3))} s`
    case 'ops':
    case 'reqps':
      return `${Number(value.toPrecision(2))}/s`
    case 'none':
      return String(Number(value.toPrecision(3)))
  }
}
