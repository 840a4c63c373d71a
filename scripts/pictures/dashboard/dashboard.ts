import type { Stage } from '../stage.ts'
import { haveAnAfternoon } from './afternoon.ts'
import { drawDashboard } from './draw.ts'
import {
  type Answered,
  type Dashboard,
  fillIn,
  legendOf,
  type Panel,
  parseLabelValues,
  readDashboard,
} from './model.ts'
import { type Prometheus, scrapeSeconds, type Target, withPrometheus } from './prometheus.ts'

const note =
  'Drawn from the queries of charts/lamina/files/dashboard.json and what a Prometheus has read of a cluster, not by Grafana. Times are UTC.'

/** Grafana's own rule for an interval as short as the scrapes'. */
const rateInterval = `${scrapeSeconds * 4}s`

const targetsOf = ({ cluster }: Stage): Target[] => {
  const { lamina } = cluster.layout.ports
  const labels = { namespace: 'lamina-system', node: cluster.layout.node.name }
  return [
    { job: 'lamina-controller', address: `127.0.0.1:${lamina}`, labels: { ...labels, pod: 'lamina-controller' } },
    { job: 'lamina-agent', address: `127.0.0.1:${lamina + 1}`, labels: { ...labels, pod: 'lamina-agent' } },
  ]
}

const variablesOf = async (prometheus: Prometheus, { templating }: Dashboard): Promise<Map<string, string>> => {
  const values = new Map([['__rate_interval', rateInterval]])
  for (const { name, definition, allValue } of templating.list) {
    if (definition === undefined) continue
    const { series, label } = parseLabelValues(definition)
    const found = await prometheus.labelValues(series, label)
    if (found.length === 0) throw new Error(`nothing to choose for $${name}: ${definition} finds nothing`)
    values.set(name, allValue ?? found.join('|'))
  }
  return values
}

type Range = { from: number; to: number; step: number }

const answer = async (
  prometheus: Prometheus,
  panel: Panel,
  variables: ReadonlyMap<string, string>,
  range: Range,
): Promise<Answered> => {
  const found = await Promise.all(
    panel.targets.map(async ({ expr, legendFormat, instant }) => {
      const asked = fillIn(expr, variables)
      const series = await (instant ? prometheus.query(asked) : prometheus.queryRange(asked, range))
      return series.map(({ labels, samples }) => ({ name: legendOf(legendFormat, labels), samples }))
    }),
  )
  return { panel, series: found.flat().filter(({ samples }) => samples.length > 0) }
}

/** @throws naming the panels whose queries find nothing, in an afternoon in which each has something to show */
export const drawRealDashboard = (stage: Stage): Promise<string> => {
  const dashboard = readDashboard()
  return withPrometheus(stage.cluster.layout.ports.lamina + 3, targetsOf(stage), async (prometheus) => {
    const from = Math.floor(Date.now() / 1000)
    return haveAnAfternoon(stage, async () => {
      const range = { from, to: Math.floor(Date.now() / 1000), step: scrapeSeconds }
      const variables = await variablesOf(prometheus, dashboard)
      const answered = await Promise.all(dashboard.panels.map((panel) => answer(prometheus, panel, variables, range)))
      const empty = answered.filter(({ panel, series }) => panel.targets.length > 0 && series.length === 0)
      if (empty.length > 0)
        throw new Error(`panels that show nothing: ${empty.map(({ panel }) => panel.title).join(', ')}`)
      return drawDashboard(dashboard.title, note, answered, range)
    })
  })
}
