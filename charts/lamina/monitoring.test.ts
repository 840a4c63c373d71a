import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { execa } from 'execa'
import { describe, expect, test } from 'vitest'
import { parse, stringify } from 'yaml'
import * as z from 'zod'

const file = (path: string): string => join(import.meta.dirname, path)
const read = (path: string): string => readFileSync(file(path), 'utf8')

const rulesSchema = z.object({
  groups: z.array(
    z.object({
      rules: z.array(
        z.union([
          z.object({ record: z.string(), expr: z.string() }),
          z.object({
            alert: z.string(),
            expr: z.string(),
            labels: z.object({ severity: z.enum(['info', 'warning', 'critical']) }),
            annotations: z.object({ summary: z.string(), description: z.string() }),
          }),
        ]),
      ),
    }),
  ),
})
const rules = rulesSchema.parse(parse(read('files/alerts.yaml'))).groups.flatMap((group) => group.rules)
const alerts = rules.filter((rule) => 'alert' in rule)
const recorded = rules.flatMap((rule) => ('record' in rule ? [rule.record] : []))

const panelSchema = z.object({ title: z.string(), targets: z.array(z.object({ expr: z.string() })).default([]) })
const dashboardSchema = z.object({
  panels: z.array(panelSchema),
  templating: z.object({ list: z.array(z.object({ name: z.string(), definition: z.string().optional() })) }),
})
const dashboard = dashboardSchema.parse(JSON.parse(read('files/dashboard.json')))
const variables = dashboard.templating.list.flatMap(({ definition }) => definition ?? [])

/** As Grafana asks. */
const filledIn = (expr: string): string => expr.replaceAll('$__rate_interval', '2m').replaceAll(/\$\w+/g, 'chosen')
const panels = dashboard.panels.map(({ title, targets }) => ({
  title,
  exprs: targets.map(({ expr }) => filledIn(expr)),
}))

const testsSchema = z.object({
  tests: z.array(
    z.object({
      promql_expr_test: z.array(z.object({ expr: z.string(), exp_samples: z.array(z.object({ labels: z.string() })) })),
    }),
  ),
})
const trials = testsSchema.parse(parse(read('alerts.test.yaml'))).tests.flatMap((one) => one.promql_expr_test)

/** Of the tables in docs/metrics.md, by name. A histogram is seen by three names more. */
const documented = new Map(
  [
    ...readFileSync(file('../../docs/metrics.md'), 'utf8').matchAll(/^\| `([a-z_]+)(?:\{([a-z, ]+)\})?` \| (\w+) \|/gm),
  ].flatMap(([, name = '', labels = '', type = '']) =>
    (type === 'histogram' ? ['_bucket', '_sum', '_count'] : ['']).map((suffix): [string, Set<string>] => [
      `${name}${suffix}`,
      new Set(labels.split(', ')),
    ]),
  ),
)
/** What Prometheus itself adds to what it reads here. */
const ofTarget = new Set(['job', 'namespace', 'pod', 'node', 'instance', 'le'])
/** Prometheus' own, the recorded, and those of the process that the tables leave to the library. */
const others = new Set(['up', 'process_resident_memory_bytes', 'process_cpu_seconds_total', ...recorded])

const words = new Set(['and', 'or', 'unless'])
/** Names of series in an expression, with the labels that they are chosen by. */
const seriesIn = (expr: string): { name: string; labels: string[] }[] => {
  const bare = expr
    .replaceAll(/"[^"]*"/g, '""')
    .replaceAll(/\b(by|without|on)\s*\([^)]*\)/g, ' ')
    .replaceAll(/\[[^\]]*\]/g, ' ')
  return [...bare.matchAll(/([a-z_][\w:]*)\s*(\{[^}]*\}|\(|)/g)].flatMap(([, name = '', rest = '']) => {
    const isOther = rest === '(' || words.has(name)
    const labels = [...rest.matchAll(/([a-z_]+)\s*(?:=~|!~|!=|=)/g)].map(([, label = '']) => label)
    return isOther ? [] : [{ name, labels }]
  })
}

/** Of Debian's package prometheus. */
const promtool = async (...args: string[]) => {
  const {
    exitCode,
    all = '',
    message,
  } = await execa('promtool', args, { reject: false, all: true, cwd: import.meta.dirname })
  return { exitCode, said: exitCode === undefined ? message : all }
}

describe('the alert rules', () => {
  test('do what their tests say', async () => {
    const { exitCode, said } = await promtool('test', 'rules', 'alerts.test.yaml')
    expect(exitCode, said).toBe(0)
  })

  test.each(alerts)('$alert is tested where it fires, and where it is quiet', ({ alert }) => {
    const ofIt = trials.filter(({ expr }) => expr.includes(`alertname="${alert}"`))
    expect(ofIt.filter(({ exp_samples }) => exp_samples.length > 0)).not.toEqual([])
    expect(ofIt.filter(({ exp_samples }) => exp_samples.length === 0)).not.toEqual([])
  })

  test.each(alerts)('$alert names in its words only labels that it has', ({ alert, annotations }) => {
    const fired = trials.flatMap(({ exp_samples }) => exp_samples.map(({ labels }) => labels))
    const labels = fired.find((one) => one.includes(`alertname="${alert}"`)) ?? ''
    const named = [
      ...Object.values(annotations)
        .join(' ')
        .matchAll(/\$labels\.(\w+)/g),
    ].map(([, label = '']) => label)
    expect(named.filter((label) => !labels.includes(`, ${label}="`))).toEqual([])
  })
})

describe('the dashboard', () => {
  test('asks what Prometheus understands', async () => {
    const dir = mkdtempSync(join(tmpdir(), 'lamina-dashboard-'))
    try {
      const asked = panels.flatMap(({ exprs }) => exprs).map((expr, i) => ({ record: `asked:${i}`, expr }))
      writeFileSync(join(dir, 'rules.yaml'), stringify({ groups: [{ name: 'dashboard', rules: asked }] }))
      const { exitCode, said } = await promtool('check', 'rules', join(dir, 'rules.yaml'))
      expect(exitCode, said).toBe(0)
      expect(said).toContain(`${asked.length} rules found`)
    } finally {
      rmSync(dir, { recursive: true })
    }
  })
})

test.each([
  { of: 'alert rules', exprs: rules.map(({ expr }) => expr) },
  {
    of: 'variables of the dashboard',
    exprs: variables.map((query) => query.replace(/^label_values\((.*), \w+\)$/, '$1')),
  },
  ...panels.filter(({ exprs }) => exprs.length > 0).map(({ title, exprs }) => ({ of: `panel "${title}"`, exprs })),
])('the metrics of $of, and their labels, are in docs/metrics.md', ({ exprs }) => {
  const series = exprs.flatMap(seriesIn)
  expect(series.length).toBeGreaterThan(0)
  for (const { name, labels } of series) {
    expect(documented.has(name) || others.has(name), name).toBe(true)
    const known = documented.get(name) ?? ofTarget
    expect(
      labels.filter((label) => !known.has(label) && !ofTarget.has(label)),
      name,
    ).toEqual([])
  }
})
