import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { isDeepStrictEqual } from 'node:util'
import { execa } from 'execa'
import type { Cluster, Report } from './cluster.ts'
import { registriesConfOf } from './images.ts'
import { clusterFiles, operatorNamespace as namespace } from './layout.ts'
import { contentHash, ensureOperatorImage, type ImageName } from './operator-image.ts'

const release = 'lamina'
const root = join(import.meta.dirname, '../..')
const chart = join(root, 'charts/lamina')

/** Label of the Helm release: which chart it was installed from. */
const chartLabel = 'lamina-chart'

const run = async ([program, ...args]: [string, ...string[]]): Promise<string> => (await execa(program, args)).stdout

const succeeds = async ([program, ...args]: [string, ...string[]]): Promise<boolean> =>
  (await execa(program, args, { reject: false })).exitCode === 0

/** What differs here from a cluster in production: no kube-proxy, and pods' network leads nowhere. */
const valuesFor = async (cluster: Cluster, image: ImageName) => {
  const { apiServer, lamina } = cluster.layout.ports
  return {
    image,
    hostNetwork: true,
    apiServer: { host: '127.0.0.1', port: apiServer },
    // One node has room for one with the host's network.
    controller: { port: lamina, replicas: 1 },
    // A developer's disk may be fuller than a node's.
    agent: { port: lamina + 1, cache: { highPercent: 99, lowPercent: 98 } },
    registriesConf: await readFile(registriesConfOf(cluster), 'utf8'),
    extraCaCerts: await readFile(join(clusterFiles(cluster.layout).pki, 'ca.crt'), 'utf8'),
    // What an administrator must allow by name, because the kernel mounts what others made.
    allowedSources: { existingClaim: ['*'], ext3Base: ['*'] },
  }
}

const isInstalled = async (cluster: Cluster, chartHash: string, values: object): Promise<boolean> => {
  const helm = (...args: string[]) => cluster.kube('helm', '-n', namespace, ...args)
  const deployed = await run(helm('list', '--deployed', '--short', '--selector', `${chartLabel}=${chartHash}`))
  if (deployed.trim() !== release) return false
  const installed: unknown = JSON.parse(await run(helm('get', 'values', release, '-o', 'json')))
  if (!isDeepStrictEqual(installed, values)) return false
  const ready = (workload: string, count: string) =>
    succeeds(
      cluster.kube(
        'kubectl',
        ...['-n', namespace, 'wait', workload, `--for=jsonpath={.status.${count}}=1`, '--timeout=20s'],
      ),
    )
  return (
    (await ready(`deployment/${release}-controller`, 'readyReplicas')) &&
    ready(`daemonset/${release}-agent`, 'numberReady')
  )
}

/** An installation or removal that was broken off leaves a record that would refuse the next. */
const forgetBrokenOff = async (cluster: Cluster): Promise<void> => {
  const pending = `owner=helm,name=${release},status in (pending-install,pending-upgrade,pending-rollback,uninstalling)`
  await run(cluster.kube('kubectl', '-n', namespace, 'delete', 'secret', '-l', pending))
}

/**
 * Installs the operator from the tree by its chart, as in production, and
 * returns when it is usable. What is installed already stays as it is.
 *
 * @throws with Helm's words and the namespace's last events
 */
export const installOperator = async (cluster: Cluster, report: Report): Promise<void> => {
  report('building the programs of the operator')
  await execa(process.execPath, [join(root, 'scripts/build.ts')])
  const values = await valuesFor(cluster, await ensureOperatorImage(cluster, report))
  const chartHash = await contentHash([chart])
  if (await isInstalled(cluster, chartHash, values)) {
    report('the operator is installed already')
    return
  }
  report('installing the operator')
  await forgetBrokenOff(cluster)
  const [helm, ...args] = cluster.kube(
    'helm',
    ...['upgrade', '--install', release, chart, '--namespace', namespace, '--create-namespace'],
    ...['--labels', `${chartLabel}=${chartHash}`, '--wait', '--timeout', '3m', '--values', '-'],
    // A replica count that somebody has scaled by hand is this installation's again.
    '--force-conflicts',
  )
  const { exitCode, stderr } = await execa(helm, args, { input: JSON.stringify(values), reject: false })
  if (exitCode !== 0) {
    const seen = await run(cluster.kube('kubectl', '-n', namespace, 'get', 'pods,events'))
    throw new Error(`the operator could not be installed: ${stderr}\n${seen}`)
  }
  report('the operator is ready')
}
