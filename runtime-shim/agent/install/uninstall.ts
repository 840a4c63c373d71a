import { rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { KubeClient } from '../../../kube/client.ts'
import { nodes } from '../../../kube/resources.ts'
import { installedPaths, type NodeLayout } from '../../node/layout.ts'
import { recordedPods } from '../pods/records.ts'
import { unconfigure } from './configure.ts'
import { installerPaths } from './files.ts'
import { type Host, hostOf, observeRuntime, restartRuntime } from './host.ts'
import { labelNode } from './label.ts'
import type { NodeRuntime } from './node-runtime.ts'

/** The node still has pods of instances or prefetches: without the runtime they could not even be killed. */
class InUseError extends Error {
  override name = 'InUseError'
}

/** @throws InUseError */
export const assertUnused = (layout: Pick<NodeLayout, 'stateDir'>): void => {
  const present = recordedPods(layout)
  if (present.length === 0) return
  throw new InUseError(
    `Lamina stays on this node: pods of instances or prefetches are here (uid ${present.join(', ')}); ` +
      'delete their Instances, and take spec.prefetch out of their ContainerImages, first',
  )
}

/** Tells an agent that still runs to leave the node as it is. */
export const takenOffFile = ({ stateDir }: Pick<NodeLayout, 'stateDir'>): string => join(stateDir, 'taken-off')

/** Copies of files of others, as they were before they were changed. */
export const backupDir = ({ installDir }: Pick<NodeLayout, 'installDir'>): string => join(installDir, 'etc', 'backup')

/**
 * Takes the handler out of the configuration and the runtime's files off the
 * node; the container runtime is restarted, unless it had no handler of ours.
 *
 * @throws InUseError, RefusedError when it is not sure which container runtime is the kubelet's
 */
export const removeHandler = async (layout: NodeLayout, host: Host, runtime: NodeRuntime): Promise<void> => {
  assertUnused(layout)
  const { node, lib, launcher } = installedPaths(layout)
  const { shell, grep, underlying } = installerPaths(layout)
  const edited = await unconfigure({ host, runtime, launcher, backupDir: backupDir(layout) })
  for (const path of [launcher, node, lib, shell, grep, underlying, backupDir(layout)])
    await rm(path, { recursive: true, force: true })
  // At the end: who has called this by `kubectl exec` is cut off by it.
  if (edited.length > 0) await restartRuntime(host, runtime, new AbortController().signal)
}

/**
 * Keeps new instances away from the node, then takes everything off it. Images stay in the cache.
 *
 * @throws InUseError
 */
export const uninstall = async (layout: NodeLayout, client: KubeClient, nodeName: string): Promise<void> => {
  assertUnused(layout)
  await writeFile(takenOffFile(layout), '')
  await labelNode(client, nodeName, false)
  const host = hostOf()
  const node = await client.get(nodes, { namespace: '', name: nodeName })
  await removeHandler(layout, host, observeRuntime(host, node?.status?.nodeInfo?.containerRuntimeVersion ?? ''))
}
