import { existsSync } from 'node:fs'
import { homedir } from 'node:os'
import { delimiter, join } from 'node:path'
import { KubeConfig } from '@kubernetes/client-node'
import { CliError, usageError } from '../shared/cli-error.ts'
import { proxyFor } from './proxy.ts'

/** What the user said of the cluster, as of kubectl. */
export interface ClusterFlags {
  kubeconfig?: string | undefined
  context?: string | undefined
  namespace?: string | undefined
}

export interface Surroundings {
  env: NodeJS.ProcessEnv
  home: string
}

const serviceAccountToken = '/var/run/secrets/kubernetes.io/serviceaccount/token'

const readFile = (path: string): KubeConfig => {
  const config = new KubeConfig()
  try {
    config.loadFromFile(path)
  } catch (error) {
    const why = error instanceof Error ? error.message.split('\n', 1)[0] : String(error)
    throw new CliError(`${path} is not a kubeconfig: ${why}`, { cause: error })
  }
  return config
}

/** Of what two files say of the same name, the first holds, as with kubectl. */
const merge = (configs: readonly KubeConfig[]): KubeConfig => {
  const merged = new KubeConfig()
  const firstOfEach = <T extends { name: string }>(all: readonly T[]): T[] => [
    ...new Map(all.toReversed().map((each) => [each.name, each])).values(),
  ]
  merged.loadFromOptions({
    clusters: firstOfEach(configs.flatMap(({ clusters }) => clusters ?? [])),
    users: firstOfEach(configs.flatMap(({ users }) => users ?? [])),
    contexts: firstOfEach(configs.flatMap(({ contexts }) => contexts ?? [])),
    currentContext: configs.map(({ currentContext }) => currentContext).find(Boolean) ?? '',
  })
  return merged
}

const whichFiles = ({ kubeconfig }: ClusterFlags, { env, home }: Surroundings): string[] => {
  if (kubeconfig !== undefined) {
    if (!existsSync(kubeconfig)) throw usageError(`--kubeconfig ${kubeconfig}: there is no such file`)
    return [kubeconfig]
  }
  const listed = env.KUBECONFIG?.split(delimiter).filter(Boolean) ?? []
  const candidates = listed.length > 0 ? listed : [join(home, '.kube', 'config')]
  return candidates.filter((path) => existsSync(path))
}

const inCluster = ({ env }: Surroundings): KubeConfig | undefined => {
  if (env.KUBERNETES_SERVICE_HOST === undefined || !existsSync(serviceAccountToken)) return undefined
  const config = new KubeConfig()
  config.loadFromCluster()
  return config
}

const noWay = ({ env }: Surroundings): CliError =>
  new CliError(
    env.KUBECONFIG
      ? `no way to a cluster: none of the files in KUBECONFIG (${env.KUBECONFIG}) is there. Correct it, or give --kubeconfig`
      : 'no way to a cluster: there is no ~/.kube/config. Set KUBECONFIG, or give --kubeconfig',
  )

const names = (all: readonly { name: string }[]): string => all.map(({ name }) => name).join(', ') || 'none'

const assertWhole = (config: KubeConfig): void => {
  const context = config.getContextObject(config.getCurrentContext())
  if (!context) {
    const current = config.getCurrentContext()
    throw new CliError(
      current
        ? `the kubeconfig has no context "${current}"; it has: ${names(config.getContexts())}`
        : `the kubeconfig has no current context: give --context, or run kubectl config use-context. It has: ${names(config.getContexts())}`,
    )
  }
  if (!config.getCurrentCluster())
    throw new CliError(
      `context "${context.name}" of the kubeconfig names the cluster "${context.cluster}", which is not in it`,
    )
  if (context.user && !config.getCurrentUser())
    throw new CliError(`context "${context.name}" of the kubeconfig names the user "${context.user}", who is not in it`)
  const server = config.getCurrentCluster()?.server ?? ''
  if (!/^https?:\/\//.test(server) || !URL.canParse(server))
    throw new CliError(
      `cluster "${context.cluster}" of the kubeconfig has the server "${server}": give https://HOST:PORT`,
    )
}

/**
 * The same, with what kubectl does beside what is written there: proxies are those of the environment where the
 * cluster names none, and over plain HTTP (`kubectl proxy`) nobody shows who he is.
 */
const asKubectlReads = (config: KubeConfig, { env }: Surroundings): KubeConfig => {
  const current = config.getCurrentCluster()
  if (!current) return config
  const isPlain = current.server.startsWith('http:')
  const proxyUrl = current.proxyUrl ?? proxyFor(new URL(current.server), env)
  // client-node takes plain HTTP only from who says that nothing is verified.
  const cluster = { ...current, skipTLSVerify: isPlain || current.skipTLSVerify, ...(proxyUrl ? { proxyUrl } : {}) }
  const read = new KubeConfig()
  read.loadFromOptions({
    clusters: config.getClusters().map((each) => (each === current ? cluster : each)),
    users: isPlain ? config.getUsers().map(({ name }) => ({ name })) : config.getUsers(),
    contexts: config.getContexts(),
    currentContext: config.getCurrentContext(),
  })
  return read
}

/**
 * The cluster, user and namespace that kubectl would take: `--kubeconfig`, else
 * `KUBECONFIG` (a list of files), else `~/.kube/config`, else the pod's service account.
 *
 * @throws CliError when there is none, or what is there does not hold together
 */
export const loadKubeconfig = (
  flags: ClusterFlags,
  surroundings: Surroundings = { env: process.env, home: homedir() },
): { config: KubeConfig; namespace: string } => {
  const files = whichFiles(flags, surroundings)
  const config = files.length > 0 ? merge(files.map(readFile)) : inCluster(surroundings)
  if (!config) throw noWay(surroundings)
  if (flags.context !== undefined) config.setCurrentContext(flags.context)
  assertWhole(config)
  const context = config.getContextObject(config.getCurrentContext())
  return { config: asKubectlReads(config, surroundings), namespace: flags.namespace ?? context?.namespace ?? 'default' }
}
