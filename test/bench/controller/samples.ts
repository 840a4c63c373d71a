/** Metrics of a program, as Prometheus reads them. */
export interface Samples {
  /** Of all series of the name whose labels hold these values. */
  sum(name: string, labels?: Readonly<Record<string, string>>): number
  /** By the value of one label. */
  by(name: string, label: string): Record<string, number>
}

interface Sample {
  name: string
  labels: Record<string, string>
  value: number
}

const sampleOf = (line: string): Sample[] => {
  const [, name = '', labels = '', value] = /^([\w:]+)(?:\{(.*)\})? (\S+)/.exec(line) ?? []
  if (value === undefined) return []
  const pairs = [...labels.matchAll(/(\w+)="([^"]*)"/g)].map(([, key = '', text = '']) => [key, text])
  return [{ name, labels: Object.fromEntries(pairs), value: Number(value) }]
}

export const metricsOf = (text: string): Samples => {
  const samples = text.split('\n').flatMap(sampleOf)
  const sum: Samples['sum'] = (name, labels = {}) =>
    samples
      .filter((sample) => sample.name === name)
      .filter((sample) => Object.entries(labels).every(([label, value]) => sample.labels[label] === value))
      .reduce((total, { value }) => total + value, 0)
  return {
    sum,
    by: (name, label) => {
      const values = samples.flatMap((sample) => (sample.name === name ? (sample.labels[label] ?? []) : []))
      return Object.fromEntries([...new Set(values)].map((value) => [value, sum(name, { [label]: value })]))
    },
  }
}
