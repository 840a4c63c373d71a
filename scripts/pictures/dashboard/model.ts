import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import * as z from 'zod'
import { root } from '../stage.ts'

const stepSchema = z.object({ color: z.string(), value: z.number().nullable() })

const panelSchema = z.object({
  type: z.enum(['row', 'stat', 'bargauge', 'timeseries']),
  title: z.string(),
  /** In units of a grid that is 24 wide. */
  gridPos: z.object({ x: z.number(), y: z.number(), w: z.number(), h: z.number() }),
  fieldConfig: z
    .object({
      defaults: z.object({
        unit: z.enum(['none', 'percentunit', 'bytes', 'Bps', 'ops', 'reqps', 's']),
        min: z.number().optional(),
        max: z.number().optional(),
        thresholds: z.object({ steps: z.array(stepSchema) }).optional(),
        custom: z.object({ stacking: z.object({ mode: z.string() }).optional() }).optional(),
      }),
    })
    .optional(),
  targets: z
    .array(z.object({ expr: z.string(), legendFormat: z.string().default(''), instant: z.boolean().default(false) }))
    .default([]),
})

const dashboardSchema = z.object({
  title: z.string(),
  panels: z.array(panelSchema),
  templating: z.object({
    list: z.array(
      z.object({
        name: z.string(),
        type: z.string(),
        definition: z.string().optional(),
        allValue: z.string().optional(),
      }),
    ),
  }),
})

/** What Grafana would read of it, as far as it is drawn here. */
export type Dashboard = z.output<typeof dashboardSchema>
export type Panel = Dashboard['panels'][number]
export type Unit = NonNullable<Panel['fieldConfig']>['defaults']['unit']

export const unitOf = ({ fieldConfig }: Panel): Unit => fieldConfig?.defaults.unit ?? 'none'

/** A panel and what its queries found: for a moment, or for all of the time that is shown. */
export interface Answered {
  panel: Panel
  /** Seconds since 1970, and the value. */
  series: { name: string; samples: [number, number][] }[]
}

/** Of all that is drawn. */
export const font = 'system-ui, sans-serif'

export const readDashboard = (): Dashboard =>
  dashboardSchema.parse(JSON.parse(readFileSync(join(root, 'charts/lamina/files/dashboard.json'), 'utf8')))

/** `label_values(SERIES, LABEL)`, as variables ask. @throws when it is something else */
export const parseLabelValues = (definition: string): { series: string; label: string } => {
  const [, series, label] = /^label_values\((.+), (\w+)\)$/.exec(definition) ?? []
  if (series === undefined || label === undefined) throw new Error(`no label_values(…, …): ${definition}`)
  return { series, label }
}

/** An expression with its variables filled in. @throws when one has no value */
export const fillIn = (expr: string, values: ReadonlyMap<string, string>): string =>
  expr.replaceAll(/\$(\w+)/g, (_whole, name: string) => {
    const value = values.get(name)
    if (value === undefined) throw new Error(`$${name} has no value in: ${expr}`)
    return value
  })

/** `{{label}}`s of a legend, by the labels of a series. */
export const legendOf = (format: string, labels: Readonly<Record<string, string>>): string =>
  format.replaceAll(/\{\{(\w+)\}\}/g, (_whole, label: string) => labels[label] ?? '')
