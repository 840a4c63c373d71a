/**
 * The story of Singularity's persistent overlays, told on a real cluster: what
 * is installed in an instance with an overlay is there again in the next one.
 */
import { dirname, join } from 'node:path'
import { execa } from 'execa'
import { type Cluster, openCluster, up } from '../test/cluster/cluster.ts'
import { installOperator } from '../test/cluster/operator.ts'
import { firstMinutes } from './first-minutes.ts'
import { createNarrator, inSeconds } from './narrator.ts'
import { agrees, findOtherCluster, offer } from './other-cluster.ts'

const namespace = 'quickstart'
const examples = 'examples/quickstart'
const root = join(import.meta.dirname, '..')

const clusterName = 'dev'
const started = performance.now()
const narrator = createNarrator(
  {
    write: (text) => void process.stdout.write(text),
    isTerminal: process.stdout.isTTY === true,
    columns: () => process.stdout.columns || 80,
  },
  () => performance.now() - started,
)
const { say, report, chapter } = narrator
const seconds = (since: number): string => inSeconds(performance.now() - since)

interface Outcome {
  exitCode: number
  stdout: string
}

/** kubectl as a person would type it: the command is shown, then what it says. */
const createKubectl = (cluster: Cluster) => {
  const run = async (args: readonly string[], { isShown }: { isShown: boolean }): Promise<Outcome> => {
    const words = ['-n', namespace, ...args]
    if (isShown) narrator.typed(['kubectl', ...words])
    const [program, ...rest] = cluster.kube('kubectl', ...words)
    const { exitCode = 1, stdout } = await execa(program, rest, {
      cwd: root,
      reject: false,
      stdin: 'ignore',
      stdout: isShown ? ['pipe', 'inherit'] : 'pipe',
      stderr: 'inherit',
    })
    return { exitCode, stdout }
  }
  const must = async (args: readonly string[], manner: { isShown: boolean }): Promise<string> => {
    const { exitCode, stdout } = await run(args, manner)
    if (exitCode !== 0) throw new Error(`kubectl ${args.join(' ')} ended with exit code ${exitCode}`)
    return stdout
  }
  return {
    /** @throws when it fails */
    run: (...args: string[]): Promise<string> => must(args, { isShown: true }),
    /** Shown, with whatever exit code it has. */
    try: (...args: string[]): Promise<Outcome> => run(args, { isShown: true }),
    /** @throws when it fails */
    quietly: (...args: string[]): Promise<string> => must(args, { isShown: false }),
  }
}
type Kubectl = ReturnType<typeof createKubectl>

/** kubectl, its plugin, and the Node that the plugin wants. */
const programs = ({ bin }: Cluster): string[] => [bin, join(root, 'dist-cli/kubectl-lamina'), dirname(process.execPath)]

const demand = (holds: boolean, what: string): void => {
  if (!holds) throw new Error(`that is not how the story goes: ${what}`)
  say(`✓ ${what}`)
}

const begin = async (cluster: Cluster, kubectl: Kubectl): Promise<void> => {
  if ((await kubectl.quietly('get', 'namespace', namespace, '--ignore-not-found')) !== '') {
    report('removing what the last run left in the cluster')
    await kubectl.quietly('delete', 'namespace', namespace, '--timeout=120s')
  }
  await kubectl.run('create', 'namespace', namespace)
  // apt reaches Debian by the host's network; an instance needs no privilege otherwise.
  await kubectl.quietly('label', 'namespace', namespace, 'pod-security.kubernetes.io/enforce=privileged')
  const { host, user, password } = cluster.registry
  const credentials = [`--docker-server=${host}`, `--docker-username=${user}`, `--docker-password=${password}`]
  await kubectl.quietly('create', 'secret', 'docker-registry', 'registry', ...credentials)
}

const apply = (kubectl: Kubectl, file: string): Promise<string> => kubectl.run('apply', '-f', join(examples, file))

const awaitReady = async (kubectl: Kubectl, name: string): Promise<void> => {
  const since = performance.now()
  await kubectl.run('wait', '--for=condition=Ready', `instance/${name}`, '--timeout=120s')
  say(`(${seconds(since)} from apply to Ready)`)
}

const inDev = (kubectl: Kubectl, ...command: string[]): Promise<string> => kubectl.run('exec', 'dev', '--', ...command)

const install = async (kubectl: Kubectl): Promise<void> => {
  chapter('An image, an overlay, an instance')
  for (const file of ['01-image.yaml', '02-overlay.yaml', '03-instance.yaml']) await apply(kubectl, file)
  await awaitReady(kubectl, 'dev')
  await kubectl.run('get', 'containerimages,persistentoverlays,instances')

  chapter('Change it: a file, and a program from Debian')
  await inDev(kubectl, 'touch', '/foo')
  const since = performance.now()
  const quiet = ['-qq', '-o', 'Dpkg::Use-Pty=0']
  await inDev(kubectl, 'apt-get', ...quiet, 'update')
  await inDev(kubectl, 'env', 'DEBIAN_FRONTEND=noninteractive', 'apt-get', ...quiet, 'install', '-y', 'vim-tiny')
  say(`(${seconds(since)})`)
  await inDev(kubectl, 'which', 'vim.tiny')
}

const persist = async (kubectl: Kubectl): Promise<void> => {
  chapter('Delete the instance, and at once apply it again')
  await kubectl.run('delete', 'instance', 'dev', '--wait=false')
  await apply(kubectl, '03-instance.yaml')
  await awaitReady(kubectl, 'dev')
  demand((await inDev(kubectl, 'ls', '/foo')) === '/foo', '/foo is there')
  demand((await inDev(kubectl, 'which', 'vim.tiny')).endsWith('vim.tiny'), 'vim is there')
}

const withoutOverlay = async (kubectl: Kubectl): Promise<void> => {
  chapter('The same image without an overlay')
  await apply(kubectl, '04-without-overlay.yaml')
  await awaitReady(kubectl, 'plain')
  const has = async (...command: string[]) => (await kubectl.try('exec', 'plain', '--', ...command)).exitCode === 0
  demand(!(await has('ls', '/foo')), '/foo is not there')
  demand(!(await has('which', 'vim.tiny')), 'vim is not there')
  demand(await has('touch', '/bar'), 'it can be written to')
  await kubectl.run('delete', 'instance', 'plain')
  await apply(kubectl, '04-without-overlay.yaml')
  await awaitReady(kubectl, 'plain')
  demand(!(await has('ls', '/bar')), 'what it wrote is gone with it')
}

/** The condition tells that all is over; the exit code is what the process left. */
const exitCodeOf = async (kubectl: Kubectl, name: string, condition: 'Ready' | 'Stalled'): Promise<string> => {
  const jsonpath = '{.status.lastTermination.exitCode}'
  await kubectl.run('wait', `--for=jsonpath=${jsonpath}`, `instance/${name}`, '--timeout=60s')
  await kubectl.run('wait', `--for=condition=${condition}`, `instance/${name}`, '--timeout=60s')
  return (await kubectl.run('get', 'instance', name, '-o', `jsonpath=${jsonpath}{"\\n"}`)).trim()
}

const once = async (kubectl: Kubectl): Promise<void> => {
  chapter('Run to the end: the image’s own entrypoint, then a command')
  await apply(kubectl, '05-once.yaml')
  demand((await exitCodeOf(kubectl, 'once', 'Ready')) === '0', 'the entrypoint ended with exit code 0')
  await apply(kubectl, '06-command.yaml')
  demand((await exitCodeOf(kubectl, 'command', 'Stalled')) === '7', 'the command ended with exit code 7')
  await kubectl.run('logs', 'command')
  await kubectl.run('get', 'instances')
}

/** What is there already is used as it is. */
const goesOn = async (): Promise<boolean> => {
  const other = (await openCluster(clusterName)) ? undefined : await findOtherCluster()
  const { stdin: input, stdout: output } = process
  const asked = (question: string): Promise<boolean> => agrees(question, { input, output })
  return !other || offer(other, narrator, input.isTTY && output.isTTY ? asked : undefined)
}

const main = async (): Promise<void> => {
  if (!(await goesOn())) return
  await firstMinutes(narrator, clusterName)
  const cluster = await up(clusterName, report)
  await installOperator(cluster, report)
  const kubectl = createKubectl(cluster)
  await begin(cluster, kubectl)
  await install(kubectl)
  await persist(kubectl)
  await withoutOverlay(kubectl)
  await once(kubectl)

  chapter(`Done in ${seconds(started)}`)
  say(`The cluster stays up. To go on by hand:

  export KUBECONFIG=${cluster.kubeconfig}
  export PATH=${programs(cluster).join(':')}:$PATH

  kubectl lamina ps -n ${namespace}
  kubectl -n ${namespace} exec -it dev -- bash
  kubectl -n ${namespace} get instances -o wide
  kubectl -n ${namespace} describe persistentoverlay dev

To take it all down:  npm run cluster -- down`)
}

try {
  await main()
} catch (error) {
  process.stderr.write(`\n${error instanceof Error ? error.message : String(error)}\n`)
  process.exitCode = 1
}
