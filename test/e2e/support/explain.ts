import { join } from 'node:path'
import { execa } from 'execa'
import type { Cluster } from '../../cluster/cluster.ts'
import { clusterFiles } from '../../cluster/layout.ts'
import { operatorNamespace } from './operator.ts'

const lastLines = '60'

/** What a reader of a failed run asks for first: pods, Events and the ends of the logs, under headings. */
export const explain = async (cluster: Cluster): Promise<string> => {
  const { logs } = clusterFiles(cluster.layout)
  const kubectl = (...args: string[]) => cluster.kube('kubectl', ...args)
  const operatorLog = (component: string, ...flags: string[]) =>
    kubectl(
      ...['-n', operatorNamespace, 'logs', '-l', `app.kubernetes.io/component=${component}`],
      ...['--all-containers', '--prefix', '--ignore-errors', `--tail=${lastLines}`, ...flags],
    )
  const nodeLog = (component: string): [string, ...string[]] => [
    ...(['tail', '-n', lastLines, join(logs, `${component}.log`)] as const),
  ]
  const questions: Record<string, [string, ...string[]]> = {
    pods: kubectl('get', 'pods', '-A', '-o', 'wide'),
    events: kubectl('get', 'events', '-A', '--sort-by=.lastTimestamp'),
    controller: operatorLog('controller'),
    agent: operatorLog('agent'),
    'agent, before its restart': operatorLog('agent', '--previous'),
    containerd: nodeLog('containerd'),
    kubelet: nodeLog('kubelet'),
  }
  const answers = Object.entries(questions).map(async ([heading, [program, ...args]]) => {
    const { all } = await execa(program, args, { all: true, reject: false, timeout: 20_000 })
    return `──── ${heading}\n${all.split('\n').slice(-Number(lastLines)).join('\n')}`
  })
  return (await Promise.all(answers)).join('\n')
}
