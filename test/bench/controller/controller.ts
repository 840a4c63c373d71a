import { mkdtemp, rm } from 'node:fs/promises'
import { cpus, release, tmpdir } from 'node:os'
import { join } from 'node:path'
import { KubeConfig } from '@kubernetes/client-node'
import { createClient } from '../../../kube/client.ts'
import { type Cluster, type Report, up } from '../../cluster/cluster.ts'
import { removePaperNodes, startPaperNodes } from '../../cluster/kwok.ts'
import { operatorNamespace } from '../../cluster/layout.ts'
import { installOperator } from '../../cluster/operator.ts'
import { type BurstSize, benchBurst } from './burst.ts'
import { benchGrowth } from './growth.ts'
import { benchLatency } from './latency.ts'
import { startController } from './process.ts'
import type { Run } from './results.ts'
import { kubectl, type World } from './world.ts'

export const parts = ['bursts', 'latency', 'growth'] as const
export type Part = (typeof parts)[number]

export interface ControllerOptions {
  /** Undefined: all of them. */
  only?: readonly Part[] | undefined
  bursts: readonly BurstSize[]
  rounds: number
  /** Applies, at 20 a second. */
  applies: number
  /** Instances in all, rising. */
  growth: readonly number[]
  /** How many of these run. */
  running: number
  /** Further flags of the controller's Node: --cpu-prof. */
  nodeFlags: readonly string[]
}

const nodes = 10

const prepare = async (cluster: Cluster, report: Report): Promise<void> => {
  // Helm would wait for the agents' pods there.
  await removePaperNodes(cluster)
  await installOperator(cluster, report)
  // Ours takes its place, with its account and settings.
  await kubectl({ cluster }, '-n', operatorNamespace, 'scale', 'deployment/lamina-controller', '--replicas=0')
  await kubectl(
    { cluster },
    ...['-n', operatorNamespace, 'wait', '--for=delete', 'pod', '--timeout=60s'],
    ...['-l', 'app.kubernetes.io/component=controller'],
  )
}

/** Measures on a cluster of its own name; it stays up, as the tests' clusters do. */
export const benchController = async (options: ControllerOptions, report: Report): Promise<Partial<Run>> => {
  const { only = parts, nodeFlags } = options
  const cluster = await up('bench', report)
  await prepare(cluster, report)
  const endNodes = await startPaperNodes(cluster, nodes, report)
  const dir = await mkdtemp(join(tmpdir(), 'lamina-bench-'))
  const config = new KubeConfig()
  config.loadFromFile(cluster.kubeconfig)
  const controller = await startController(cluster, { dir, flags: nodeFlags })
  const world: World = {
    cluster,
    client: createClient(config, { userAgent: 'lamina-bench' }),
    controller,
    image: `${cluster.registry.host}/library/debian:12`,
    report,
  }
  const run: Partial<Run> = { kernel: release(), cores: cpus().length, nodes }
  try {
    if (only.includes('bursts')) {
      run.bursts = []
      for (const size of options.bursts) run.bursts.push(await benchBurst(world, size, options.rounds))
    }
    if (only.includes('latency')) run.latencies = await benchLatency(world, options.applies)
    if (only.includes('growth'))
      Object.assign(run, await benchGrowth(world, { sizes: options.growth, running: options.running }, dir))
  } finally {
    await world.controller.stop()
    await endNodes()
    await rm(dir, { recursive: true })
  }
  return run
}
