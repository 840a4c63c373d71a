/**
 * Figures, as ratios in one run: the machine may be slow or busy.
 *
 * usage: npm run bench -- start
 */
import { KubeConfig } from '@kubernetes/client-node'
import { Command } from 'commander'
import { execa } from 'execa'
import { createClient } from '../../kube/client.ts'
import { type Cluster, up } from '../cluster/cluster.ts'
import { installOperator } from '../cluster/operator.ts'
import { benchConvert } from './convert.ts'
import { benchMemory } from './memory.ts'
import { benchReady } from './ready.ts'
import { benchRuntime } from './runtime.ts'

const namespace = 'bench'

const report = (line: string): void => {
  process.stdout.write(`${line}\n`)
}

const kubectl = async (cluster: Cluster, ...args: string[]): Promise<void> => {
  const [program, ...rest] = cluster.kube('kubectl', ...args)
  await execa(program, rest)
}

const start = async (): Promise<void> => {
  const cluster = await up('dev', report)
  await installOperator(cluster, report)
  const config = new KubeConfig()
  config.loadFromFile(cluster.kubeconfig)
  const client = createClient(config, { userAgent: 'lamina-bench' })
  await kubectl(cluster, 'delete', 'namespace', namespace, '--ignore-not-found')
  await kubectl(cluster, 'create', 'namespace', namespace)
  const { host, user, password } = cluster.registry
  const credentials = [`--docker-server=${host}`, `--docker-username=${user}`, `--docker-password=${password}`]
  await kubectl(cluster, '-n', namespace, 'create', 'secret', 'docker-registry', 'registry', ...credentials)
  try {
    await benchMemory(cluster, client, namespace, report)
    await benchReady(client, { namespace, image: `${host}/library/debian:12` }, report)
    await benchConvert(cluster, client, namespace, report)
    await benchRuntime(report)
  } finally {
    await kubectl(cluster, 'delete', 'namespace', namespace)
  }
}

const program = new Command('bench').description('Figures, as ratios in one run')
program.command('start').description('start times, runtime overhead, conversion, memory').action(start)

try {
  await program.parseAsync()
} catch (error) {
  process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`)
  process.exitCode = 1
}
