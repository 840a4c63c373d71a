import { mkdir, rm, stat, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import type { KubeClient } from '../../../kube/client.ts'
import { nodes } from '../../../kube/resources.ts'
import { hasCode } from '../../mount/error-code.ts'
import { installedPaths, type NodeLayout } from '../../node/layout.ts'
import { recordedPods } from '../pods/records.ts'
import { hasHandler, unconfigure } from './configure.ts'
import { installerPaths } from './files.ts'
import { type Host, hostOf, observeRuntime } from './host.ts'
import { labelNode } from './label.ts'
import type { NodeRuntime } from './node-runtime.ts'
import { restartRuntime } from './restart.ts'

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

/** There while the removal is under way; its time is that of the last change of the configuration. */
const removalFile = ({ installDir }: Pick<NodeLayout, 'installDir'>): string => join(installDir, 'etc', 'removal')

const noteRemoval = async (layout: Pick<NodeLayout, 'installDir'>): Promise<void> => {
  await mkdir(dirname(removalFile(layout)), { recursive: true })
  await writeFile(removalFile(layout), '')
}

const removalTime = async (layout: Pick<NodeLayout, 'installDir'>): Promise<number | undefined> => {
  try {
    return (await stat(removalFile(layout))).mtimeMs
  } catch (error) {
    if (hasCode(error, 'ENOENT')) return undefined
    throw error
  }
}

/**
 * Takes the handler out of the configuration, has the container runtime read
 * that, unless it had no handler of ours, and then takes the runtime's files off
 * the node. Cut off anywhere, by that restart for one, it can be called again.
 *
 * @throws InUseError; UnsupervisedError when the container runtime must be restarted by hand before this is called again
 */
export const removeHandler = async (layout: NodeLayout, host: Host, runtime: NodeRuntime): Promise<void> => {
  assertUnused(layout)
  const { node, lib, launcher } = installedPaths(layout)
  const { shell, grep, underlying } = installerPaths(layout)
  const at = { host, runtime, launcher, backupDir: backupDir(layout) }
  // Noted before, or a cut right after the change would leave a runtime that still has the handler and need not be restarted.
  if ((await removalTime(layout)) === undefined && (await hasHandler(at))) await noteRemoval(layout)
  const edited = await unconfigure(at)
  if (edited.length > 0) await noteRemoval(layout)
  if (runtime.process.startTime < ((await removalTime(layout)) ?? 0))
    await restartRuntime(host, runtime, new AbortController().signal)
  // Only now: until its restart the runtime has a handler that leads to these files.
  assertUnused(layout)
  for (const path of [launcher, node, lib, shell, grep, underlying, backupDir(layout), removalFile(layout)])
    await rm(path, { recursive: true, force: true })
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
