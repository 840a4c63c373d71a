import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { execa } from 'execa'
import { stringify } from 'yaml'
import * as z from 'zod'
import { until } from '../../../test/e2e/support/until.ts'

/** A value is a number as text: also `NaN`. */
const sampleSchema = z.tuple([z.number(), z.string().transform(Number)])
const labelsSchema = z.record(z.string(), z.string())
const answerOf = <T extends z.ZodType>(data: T) => z.object({ status: z.literal('success'), data })
const vectorSchema = answerOf(z.object({ result: z.array(z.object({ metric: labelsSchema, value: sampleSchema })) }))
const matrixSchema = answerOf(
  z.object({ result: z.array(z.object({ metric: labelsSchema, values: z.array(sampleSchema) })) }),
)
const namesSchema = answerOf(z.array(z.string()))

export interface Series {
  labels: Record<string, string>
  /** Seconds since 1970, and the value; without what is not a number. */
  samples: [number, number][]
}

export interface Prometheus {
  query(expr: string): Promise<Series[]>
  queryRange(expr: string, range: { from: number; to: number; step: number }): Promise<Series[]>
  labelValues(series: string, label: string): Promise<string[]>
}

export interface Target {
  job: string
  /** Host and port. */
  address: string
  labels: Record<string, string>
}

export const scrapeSeconds = 5

/** As the chart's ServiceMonitor has it read: labels of the metrics count where both have one. */
const configFor = (targets: readonly Target[]) => ({
  global: { scrape_interval: `${scrapeSeconds}s`, scrape_timeout: `${scrapeSeconds}s` },
  scrape_configs: targets.map(({ job, address, labels }) => ({
    job_name: job,
    honor_labels: true,
    static_configs: [{ targets: [address], labels }],
  })),
})

const isNumber = ([, value]: [number, number]): boolean => Number.isFinite(value)

const clientOf = (address: string): Prometheus => {
  const ask = async <T extends z.ZodType>(
    path: string,
    schema: T,
    words: Record<string, string>,
  ): Promise<z.output<T>> => {
    const response = await fetch(`${address}/api/v1/${path}?${new URLSearchParams(words)}`)
    const text = await response.text()
    if (!response.ok) throw new Error(`Prometheus refuses ${JSON.stringify(words)}: ${text}`)
    return schema.parse(JSON.parse(text))
  }
  return {
    query: async (expr) => {
      const { data } = await ask('query', vectorSchema, { query: expr })
      return data.result.map(({ metric, value }) => ({ labels: metric, samples: [value].filter(isNumber) }))
    },
    queryRange: async (expr, { from, to, step }) => {
      const words = { query: expr, start: String(from), end: String(to), step: String(step) }
      const { data } = await ask('query_range', matrixSchema, words)
      return data.result.map(({ metric, values }) => ({ labels: metric, samples: values.filter(isNumber) }))
    },
    labelValues: async (series, label) => (await ask(`label/${label}/values`, namesSchema, { 'match[]': series })).data,
  }
}

/** Debian's Prometheus reads the targets while the work goes on; nothing of it is left. */
export const withPrometheus = async <T>(
  port: number,
  targets: readonly Target[],
  work: (prometheus: Prometheus) => Promise<T>,
): Promise<T> => {
  const dir = await mkdtemp(join(tmpdir(), 'lamina-prometheus-'))
  const config = join(dir, 'prometheus.yaml')
  await writeFile(config, stringify(configFor(targets)))
  const flags = [`--config.file=${config}`, `--storage.tsdb.path=${dir}/data`, `--web.listen-address=127.0.0.1:${port}`]
  const server = execa('prometheus', flags, { reject: false, stdin: 'ignore', all: true })
  const address = `http://127.0.0.1:${port}`
  try {
    await until('Prometheus answers', async () => (await fetch(`${address}/-/ready`)).ok, { seconds: 30 })
    return await work(clientOf(address))
  } finally {
    server.kill('SIGTERM')
    await server
    await rm(dir, { recursive: true, force: true })
  }
}
