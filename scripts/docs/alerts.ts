/** Writes docs/alerts.md from the chart's alert rules. */
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { parse } from 'yaml'
import * as z from 'zod'

const root = join(import.meta.dirname, '../..')

const ruleSchema = z.object({
  alert: z.string().optional(),
  for: z.string().optional(),
  labels: z.object({ severity: z.string().optional() }),
  annotations: z.object({ summary: z.string(), description: z.string() }).optional(),
})
const rulesSchema = z.object({ groups: z.array(z.object({ name: z.string(), rules: z.array(ruleSchema) })) })

/** Prometheus fills in labels and values; the page names them. */
const withoutTemplates = (text: string): string =>
  text
    .replaceAll(/\{\{ \$labels\.(\w+) \}\}/g, (_whole, label: string) => label.toUpperCase())
    .replaceAll(/\{\{ \$value[^}]*\}\}/g, 'N')

const inCell = (text: string): string => withoutTemplates(text).replaceAll('|', '\\|').replaceAll('<', '&lt;')

const headings = new Map([
  ['lamina-overlays', 'Overlays'],
  ['lamina-nodes', 'Nodes'],
  ['lamina-operator', 'Controller and agents'],
])

/** The page, from the rules as Prometheus reads them. */
export const alertsPage = (): string => {
  const { groups } = rulesSchema.parse(parse(readFileSync(join(root, 'charts/lamina/files/alerts.yaml'), 'utf8')))
  const sections = groups.map(({ name, rules }) => {
    const rows = rules.flatMap(({ alert, labels, annotations, for: lasting = 'at once' }) =>
      alert === undefined || !annotations
        ? []
        : [
            `| \`${alert}\` | ${labels.severity} | ${lasting} | ${inCell(annotations.summary)} | ${inCell(annotations.description)} |`,
          ],
    )
    return `## ${headings.get(name) ?? name}\n\n| Alert | Severity | After | What is the case | What to do |\n|---|---|---|---|---|\n${rows.join('\n')}`
  })
  return [
    '<!-- Generated from charts/lamina/files/alerts.yaml by `npm run generate`; do not edit. -->',
    '# Alerts',
    'The alerts of the chart, with what each says of the next step. How to turn them on is in [chart.md](chart.md#monitoring-off), the metrics they look at in [metrics.md](metrics.md), and what to do otherwise in [operations.md](operations.md). `info` and `warning` can wait for the day, `critical` should not.',
    ...sections,
    '',
  ].join('\n\n')
}

export const alertsFile = join(root, 'docs/alerts.md')

export const writeAlerts = (): void => writeFileSync(alertsFile, alertsPage())
