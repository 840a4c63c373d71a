import { join } from 'node:path'
import { execa } from 'execa'
import { stringify } from 'yaml'
import { readyNodeLabel } from '../../kube/names.ts'
import { ensureKwok } from './builds.ts'
import type { Cluster, Report } from './cluster.ts'
import { clusterFiles } from './layout.ts'
import { waitFor } from './wait.ts'

/**
 * Nodes that only exist on paper: kwok says of their pods and volumes what
 * kubelets and a provisioner would. A thousand pods cost no more than their
 * objects, so that it is the control plane that is measured.
 */

const paperLabel = 'lamina.dev/paper'

/** Sends pods there. */
export const paperNodeSelector = { [paperLabel]: 'true' }

/** StorageClass of volumes that are not there either. */
export const paperStorageClass = 'fake'

const nodeBody = (name: string) => ({
  apiVersion: 'v1',
  kind: 'Node',
  metadata: {
    name,
    labels: {
      'kubernetes.io/hostname': name,
      'kubernetes.io/os': 'linux',
      'kubernetes.io/arch': process.arch === 'x64' ? 'amd64' : process.arch,
      // Nobody mounts anything there: the runtime need not be installed.
      [readyNodeLabel]: 'true',
      ...paperNodeSelector,
    },
  },
})

const storageClass = {
  apiVersion: 'storage.k8s.io/v1',
  kind: 'StorageClass',
  metadata: { name: paperStorageClass },
  provisioner: 'lamina.dev/fake-volumes',
  volumeBindingMode: 'WaitForFirstConsumer',
  allowVolumeExpansion: true,
}

const kubectl = async (cluster: Cluster, args: string[], input = ''): Promise<string> => {
  const [command, ...rest] = cluster.kube('kubectl', ...args)
  return (await execa(command, rest, { input })).stdout
}

/** Also those that an earlier run left. Pods of DaemonSets go with them: without kwok, nobody would end these. */
export const removePaperNodes = async (cluster: Cluster): Promise<void> => {
  const nodes = await kubectl(cluster, ['get', 'nodes', '--selector', `${paperLabel}=true`, '--output', 'name'])
  const names = nodes.split('\n').filter(Boolean)
  if (names.length > 0) await kubectl(cluster, ['delete', ...names])
  for (const name of names) {
    const there = `spec.nodeName=${name.replace(/^node\//, '')}`
    await kubectl(cluster, ['delete', 'pods', '--all-namespaces', '--field-selector', there, '--force'])
  }
}

/** Starts kwok for so many nodes, and waits until they take pods; returns what ends it. */
export const startPaperNodes = async (
  cluster: Cluster,
  count: number,
  report: Report,
): Promise<() => Promise<void>> => {
  const program = await ensureKwok(report)
  const { logs } = clusterFiles(cluster.layout)
  const names = Array.from({ length: count }, (_, index) => `paper-${index}`)
  const objects = [storageClass, ...names.map(nodeBody)]
  await kubectl(cluster, ['apply', '-f', '-'], objects.map((object) => stringify(object)).join('---\n'))
  const log = { file: join(logs, 'kwok.log'), append: true }
  const kwok = execa(
    program,
    [
      ...['--kubeconfig', cluster.kubeconfig, '--config', join(import.meta.dirname, 'kwok', 'stages.yaml')],
      ...['--manage-nodes-with-label-selector', `${paperLabel}=true`, '--node-lease-duration-seconds', '40'],
    ],
    { stdout: log, stderr: log, buffer: false, reject: false },
  )
  const ready = ['wait', '--for=condition=Ready', '--timeout=5s', ...names.map((name) => `node/${name}`)]
  await waitFor('readiness of the nodes on paper', 60, logs, () =>
    kubectl(cluster, ready).then(
      () => true,
      () => false,
    ),
  )
  return async () => {
    await removePaperNodes(cluster)
    kwok.kill()
    await kwok
  }
}
