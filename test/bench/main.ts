/**
 * Figures, as ratios in one run: the machine may be slow or busy.
 *
 * usage: npm run bench -- start
 *        npm run bench -- controller --write-docs
 *        npm run bench -- filesystem --set ways --backing ext4 --write-docs
 */
import { tmpdir } from 'node:os'
import { KubeConfig } from '@kubernetes/client-node'
import { Command, InvalidArgumentError, Option } from 'commander'
import { execa } from 'execa'
import { createClient } from '../../kube/client.ts'
import { type Cluster, up } from '../cluster/cluster.ts'
import { installOperator } from '../cluster/operator.ts'
import { benchController, parts } from './controller/controller.ts'
import { drawControllerDocs, keepControllerRun } from './controller/docs.ts'
import { runSchema } from './controller/results.ts'
import { benchConvert } from './convert.ts'
import { drawDocs, keepRun, tables } from './filesystem/docs.ts'
import { type Backing, backings, benchFilesystem, type FilesystemOptions } from './filesystem/filesystem.ts'
import { setNames } from './filesystem/variants.ts'
import { benchLongUse } from './long-use.ts'
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

const longUse = async ({ cluster: name }: { cluster: string }): Promise<void> => {
  const cluster = await up(name, report)
  await installOperator(cluster, report)
  await benchLongUse(cluster, report)
}

const positive = (text: string): number => {
  const value = Number(text)
  if (!Number.isInteger(value) || value < 1) throw new InvalidArgumentError('a whole number from 1 on')
  return value
}

const filesystem = async ({ writeDocs, ...options }: FilesystemOptions & { writeDocs?: true }): Promise<void> => {
  const run = await benchFilesystem(options, report)
  report(tables(run))
  if (writeDocs === undefined) return
  keepRun(run)
  drawDocs()
}

const program = new Command('bench').description('Figures, as ratios in one run')
program.command('start').description('start times, runtime overhead, conversion, memory').action(start)
program
  .command('memory')
  .description('memory of an agent that is used in every way and for long; two minutes')
  .option('--cluster <name>', 'where', 'dev')
  .action(longUse)
program
  .command('filesystem')
  .description('ways to give a container a writable root, against the host directory underneath')
  .addOption(new Option('--set <name>', 'what is compared').choices(setNames).default('ways'))
  .addOption(
    new Option('--backing <name>', 'the file system underneath').choices(backings).default('ext4' satisfies Backing),
  )
  .option('--rounds <number>', 'fresh images in each', positive, 5)
  .option('--only <part...>', 'only workloads whose names contain one of these')
  .option('--directory <path>', 'for up to 15 GiB of files', tmpdir())
  .option('--write-docs', 'keep the figures in docs/plots, and renew plots and tables')
  .action(filesystem)
const rising = (text: string): number[] => text.split(',').map(positive)

program
  .command('controller')
  .description(
    'the controller under bursts, at a steady rate, and with more and more instances; on nodes that kwok plays',
  )
  .addOption(new Option('--only <part...>', 'only these').choices(parts))
  .option('--bursts <numbers>', 'instances at once', rising, [300, 1000])
  .option('--rates <numbers>', '300 instances at so many a second', rising, [10])
  .option('--rounds <number>', 'of each burst', positive, 3)
  .option('--applies <number>', 'at 20 a second', positive, 400)
  .option('--growth <numbers>', 'instances in all, rising', rising, [1000, 2000, 5000, 10_000])
  .option('--running <number>', 'of these; the others are stopped', positive, 1000)
  .option('--write-docs', 'keep the figures in docs/plots, and renew plots and tables of docs/scale.md')
  .option('--node-flags <flag...>', "of the controller's Node: --cpu-prof", [])
  .action(async (options) => {
    const bursts = [
      ...options.bursts.map((count: number) => ({ count })),
      ...options.rates.map((perSecond: number) => ({ count: 300, perSecond })),
    ]
    const run = await benchController({ ...options, bursts }, report)
    report(JSON.stringify(run))
    if (options.writeDocs === undefined) return
    keepControllerRun(runSchema.parse(run))
    drawControllerDocs()
  })
program
  .command('controller-docs')
  .description('plots and tables anew from the figures in docs/plots/data/controller')
  .action(drawControllerDocs)
program
  .command('filesystem-docs')
  .description('plots and tables anew from the figures in docs/plots/data')
  .action(drawDocs)

try {
  await program.parseAsync()
} catch (error) {
  process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`)
  process.exitCode = 1
}
