import { Command } from 'commander'
import { execa } from 'execa'
import { type Cluster, down, openCluster, up } from './cluster.ts'
import { clusterFiles, clusterNames } from './layout.ts'
import { installOperator } from './operator.ts'

const started = performance.now()
const report = (line: string): void => {
  process.stdout.write(`[${((performance.now() - started) / 1000).toFixed(1)} s] ${line}\n`)
}

const fail = (message: string): never => {
  process.stderr.write(`${message}\n`)
  process.exit(1)
}

const running = async (name: string): Promise<Cluster> =>
  (await openCluster(name)) ??
  fail(
    `cluster ${name} is not up; start it with: npm run cluster -- up --name ${name}, then: npm run cluster -- operator --name ${name}`,
  )

const program = new Command('cluster')
  .description('A real Kubernetes cluster on this machine, for development')
  .enablePositionalOptions()
const nameOption = ['-n, --name <name>', `which cluster: ${clusterNames.join(', ')}`, 'dev'] as const

program
  .command('up')
  .description('start it; harmless when it is up')
  .option(...nameOption)
  .action(async ({ name }: { name: string }) => {
    const cluster = await up(name, report)
    process.stdout.write(`export KUBECONFIG=${cluster.kubeconfig}\n`)
  })

program
  .command('down')
  .description('stop it and remove all it left')
  .option(...nameOption)
  .option('--keep-data', 'keep etcd, volumes and images for the next up')
  .action(({ name, keepData }: { name: string; keepData?: boolean }) =>
    down(name, report, keepData ? { keepData } : {}),
  )

program
  .command('status')
  .description('say whether it is up, and its nodes')
  .option(...nameOption)
  .action(async ({ name }: { name: string }) => {
    const cluster = await running(name)
    process.stdout.write(`cluster ${name} is up\nKUBECONFIG=${clusterFiles(cluster.layout).kubeconfig}\n`)
    const [kubectl, ...args] = cluster.kube('kubectl', 'get', 'nodes')
    await execa(kubectl, args, { stdio: 'inherit' })
  })

program
  .command('operator')
  .description('install Lamina from this tree by its chart, or bring it up to date')
  .option(...nameOption)
  .action(async ({ name }: { name: string }) => installOperator(await running(name), report))

for (const tool of ['kubectl', 'helm'] as const) {
  program
    .command(tool)
    .description(`run ${tool} on it (the name by CLUSTER=…; default dev)`)
    .argument('[args...]')
    .allowUnknownOption()
    .helpOption(false)
    .passThroughOptions()
    .action(async (args: string[]) => {
      const cluster = await running(process.env.CLUSTER ?? 'dev')
      const [command, ...rest] = cluster.kube(tool, ...args)
      const { exitCode } = await execa(command, rest, { stdio: 'inherit', reject: false })
      process.exitCode = exitCode ?? 1
    })
}

try {
  if (process.argv.length <= 2) program.outputHelp()
  else await program.parseAsync()
} catch (error) {
  fail(error instanceof Error ? error.message : String(error))
}
