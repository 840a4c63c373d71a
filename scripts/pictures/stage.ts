import { copyFile, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { delimiter, dirname, join } from 'node:path'
import { type Cluster, up } from '../../test/cluster/cluster.ts'
import { registriesConfOf } from '../../test/cluster/images.ts'
import { installOperator } from '../../test/cluster/operator.ts'
import { createKubectl, type Kubectl } from '../../test/e2e/support/kubectl.ts'
import { containerImage, inNamespace } from '../../test/e2e/support/objects.ts'
import { registrySecret, registrySecretName } from '../../test/e2e/support/registry.ts'

export const root = join(import.meta.dirname, '../..')

/** Where pictures are taken: a cluster with Lamina as the tree has it. */
export interface Stage {
  cluster: Cluster
  kubectl: Kubectl
  report(line: string): void
}

export const openStage = async (clusterName: string, report: Stage['report']): Promise<Stage> => {
  const cluster = await up(clusterName, report)
  await installOperator(cluster, report)
  return { cluster, kubectl: createKubectl(cluster.kube('kubectl'), process.env), report }
}

/** With the image `debian`, and rights for all that the pictures show. It is gone afterwards, as is what an earlier run left. */
export const withNamespace = async <T>(
  { cluster, kubectl }: Stage,
  name: string,
  work: () => Promise<T>,
): Promise<T> => {
  const remove = () =>
    kubectl.run(['delete', 'namespace', name, '--ignore-not-found', '--timeout=170s'], { timeoutSeconds: 180 })
  await remove()
  await kubectl.apply({
    apiVersion: 'v1',
    kind: 'Namespace',
    // apt reaches Debian by the host's network; an instance needs no privilege otherwise.
    metadata: { name, labels: { 'pod-security.kubernetes.io/enforce': 'privileged' } },
  })
  try {
    const debian = containerImage('debian', 'docker.io/library/debian:12', { pullSecrets: [registrySecretName] })
    await kubectl.apply(...[registrySecret(cluster), debian].map((object) => inNamespace(name, object)))
    return await work()
  } finally {
    await remove()
  }
}

/**
 * A directory of somebody at a terminal, and his environment: kubectl is the
 * cluster's and in that namespace, both command lines are there, and for
 * programs that fetch images the cluster's registry stands in for docker.io.
 */
export const atTerminal = async <T>(
  { cluster }: Stage,
  { namespace, programs }: { namespace: string; programs: readonly string[] },
  work: (directory: string, env: NodeJS.ProcessEnv) => Promise<T>,
): Promise<T> => {
  const directory = await mkdtemp(join(tmpdir(), 'lamina-pictures-'))
  const hidden = await mkdtemp(join(tmpdir(), 'lamina-pictures-'))
  try {
    const { host, user, password } = cluster.registry
    const kubeconfig = join(hidden, 'kubeconfig')
    const authFile = join(hidden, 'auth.json')
    await writeFile(kubeconfig, await readFile(cluster.kubeconfig), { mode: 0o600 })
    await mkdir(join(directory, '.config/containers'), { recursive: true })
    await copyFile(registriesConfOf(cluster), join(directory, '.config/containers/registries.conf'))
    const auth = Buffer.from(`${user}:${password}`).toString('base64')
    await writeFile(authFile, JSON.stringify({ auths: { [host]: { auth } } }), { mode: 0o600 })
    const env = {
      ...process.env,
      HOME: directory,
      KUBECONFIG: kubeconfig,
      REGISTRY_AUTH_FILE: authFile,
      LAMINA_NODE: process.execPath,
      PATH: [...programs, cluster.bin, dirname(process.execPath), process.env.PATH].join(delimiter),
    }
    const kubectl = createKubectl([join(cluster.bin, 'kubectl')], env)
    await kubectl.run(['config', 'set-context', '--current', `--namespace=${namespace}`])
    return await work(directory, env)
  } finally {
    await Promise.all([directory, hidden].map((path) => rm(path, { recursive: true, force: true })))
  }
}
