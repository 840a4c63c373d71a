import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from 'prom-client'

/** The one module that knows the metrics library. */

export type Labels = Readonly<Record<string, string | number>>

export interface CounterMetric {
  inc(labels?: Labels, by?: number): void
}
export interface GaugeMetric {
  set(value: number, labels?: Labels): void
  /** Of what is gone; the value would stay otherwise. */
  remove(labels: Labels): void
}
export interface HistogramMetric {
  observe(value: number, labels?: Labels): void
}

/** Names are controller-runtime's and client-go's where they mean the same, so that their dashboards work. */
export interface Metrics {
  /** controller_runtime_reconcile_total{controller,result: success | requeue_after | error} */
  reconciles: CounterMetric
  /** controller_runtime_reconcile_errors_total{controller} */
  reconcileErrors: CounterMetric
  /** controller_runtime_reconcile_time_seconds{controller} */
  reconcileSeconds: HistogramMetric
  /** controller_runtime_active_workers{controller} */
  activeWorkers: GaugeMetric
  /** controller_runtime_max_concurrent_reconciles{controller} */
  maxWorkers: GaugeMetric
  /** workqueue_depth{name,controller}: the two are one, as in controller-runtime */
  queueDepth: GaugeMetric
  /** workqueue_adds_total{name,controller} */
  queueAdds: CounterMetric
  /** workqueue_queue_duration_seconds{name,controller}: from the add to the start of the work */
  queueSeconds: HistogramMetric
  /** workqueue_work_duration_seconds{name,controller} */
  workSeconds: HistogramMetric
  /** workqueue_unfinished_work_seconds{name,controller} */
  unfinishedSeconds: GaugeMetric
  /** workqueue_longest_running_processor_seconds{name,controller} */
  longestSeconds: GaugeMetric
  /** workqueue_retries_total{name,controller} */
  queueRetries: CounterMetric
  /** rest_client_requests_total{code,method,host}; code is `<error>` when no answer came */
  requests: CounterMetric
  /** reflector_lists_total{name} */
  reflectorLists: CounterMetric
  /** reflector_watches_total{name} */
  reflectorWatches: CounterMetric
  /** reflector_errors_total{name,cause: list | watch | silence | expired | parse | handler} */
  reflectorErrors: CounterMetric
  /** reflector_items{name} */
  reflectorItems: GaugeMetric
  /** leader_election_master_status{name}: 1 on the leader */
  leader: GaugeMetric

  /** Metrics of the caller's own. A name can be taken once. */
  counter(name: string, help: string, labels?: readonly string[]): CounterMetric
  gauge(name: string, help: string, labels?: readonly string[]): GaugeMetric
  histogram(name: string, help: string, labels?: readonly string[], buckets?: readonly number[]): HistogramMetric

  /** Runs before each reading: for what changes by time alone. */
  onRead(act: () => void): void

  /** All of them, and the process's own, as Prometheus reads them. */
  text(): Promise<string>
  contentType: string
}

/** 1 ms – 60 s: from a pass over the cache to one that waits for a registry. */
const secondsBuckets = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60] as const

/** controller-runtime names its queues twice. */
const ofQueue = ['name', 'controller'] as const

/** The event loop's lag is sampled by a timer: every 10 ms, as the library has it, would take 0.2 % of a core by itself. */
const lagSampleMs = 1_000

export const createMetrics = (): Metrics => {
  const registry = new Registry()
  collectDefaultMetrics({ register: registry, eventLoopMonitoringPrecision: lagSampleMs })

  const beforeReading: (() => void)[] = []

  const counter: Metrics['counter'] = (name, help, labels = []) => {
    const metric = new Counter({ name, help, labelNames: labels, registers: [registry] })
    return { inc: (values = {}, by = 1) => metric.inc(values, by) }
  }
  const gauge: Metrics['gauge'] = (name, help, labels = []) => {
    const metric = new Gauge({ name, help, labelNames: labels, registers: [registry] })
    return {
      set: (value, values = {}) => metric.set(values, value),
      remove: (values) => metric.remove(values),
    }
  }
  const histogram: Metrics['histogram'] = (name, help, labels = [], buckets = secondsBuckets) => {
    const metric = new Histogram({ name, help, labelNames: labels, buckets: [...buckets], registers: [registry] })
    return { observe: (value, values = {}) => metric.observe(values, value) }
  }

  return {
    reconciles: counter('controller_runtime_reconcile_total', 'Passes over an object, by result.', [
      'controller',
      'result',
    ]),
    reconcileErrors: counter('controller_runtime_reconcile_errors_total', 'Passes that failed.', ['controller']),
    reconcileSeconds: histogram('controller_runtime_reconcile_time_seconds', 'Length of a pass.', ['controller']),
    activeWorkers: gauge('controller_runtime_active_workers', 'Passes going on.', ['controller']),
    maxWorkers: gauge('controller_runtime_max_concurrent_reconciles', 'Most passes that go on at a time.', [
      'controller',
    ]),
    queueDepth: gauge('workqueue_depth', 'Keys that wait.', ofQueue),
    queueAdds: counter('workqueue_adds_total', 'Keys added that were not waiting already.', ofQueue),
    queueSeconds: histogram('workqueue_queue_duration_seconds', 'How long keys wait.', ofQueue),
    workSeconds: histogram('workqueue_work_duration_seconds', 'How long the work on a key takes.', ofQueue),
    unfinishedSeconds: gauge(
      'workqueue_unfinished_work_seconds',
      'How long the work that goes on has taken so far, all of it together.',
      ofQueue,
    ),
    longestSeconds: gauge(
      'workqueue_longest_running_processor_seconds',
      'How long the oldest work that goes on has taken so far.',
      ofQueue,
    ),
    queueRetries: counter('workqueue_retries_total', 'Keys tried again after a failure.', ofQueue),
    requests: counter('rest_client_requests_total', 'Requests to the API server, by status code and method.', [
      'code',
      'method',
      'host',
    ]),
    reflectorLists: counter('reflector_lists_total', 'Full lists taken.', ['name']),
    reflectorWatches: counter('reflector_watches_total', 'Watches begun.', ['name']),
    reflectorErrors: counter('reflector_errors_total', 'What went wrong with a cache, by cause.', ['name', 'cause']),
    reflectorItems: gauge('reflector_items', 'Objects in a cache.', ['name']),
    leader: gauge('leader_election_master_status', '1 on the leader.', ['name']),
    counter,
    gauge,
    histogram,
    onRead: (act) => {
      beforeReading.push(act)
    },
    text: () => {
      for (const act of beforeReading) act()
      return registry.metrics()
    },
    contentType: registry.contentType,
  }
}
