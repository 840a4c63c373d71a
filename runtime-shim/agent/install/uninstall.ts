import { existsSync } from 'node:fs'
import { rm } from 'node:fs/promises'
import { installedPaths, type NodeLayout } from '../../node/layout.ts'
import { recordedPods } from '../pods/records.ts'
import { dropInPath } from './containerd.ts'
import { restartContainerd } from './host.ts'
import { findContainerd } from './processes.ts'

/** The node still has pods of instances: without the runtime they could not even be killed. */
class InUseError extends Error {
  override name = 'InUseError'
}

/**
 * Takes the handler and the runtime off the node; containerd is restarted, unless
 * it had no handler of ours. Images stay in the cache.
 *
 * @throws InUseError
 */
export const uninstall = async (layout: NodeLayout): Promise<void> => {
  const present = recordedPods(layout)
  if (present.length > 0) {
    throw new InUseError(
      `Lamina stays on this node: pods of instances are here (uid ${present.join(', ')}); delete their Instances first`,
    )
  }
  const isKnown = existsSync(dropInPath)
  await rm(dropInPath, { force: true })
  const { node, lib, launcher } = installedPaths(layout)
  for (const path of [launcher, node, lib]) await rm(path, { recursive: true, force: true })
  // At the end: who has called this by `kubectl exec` is cut off by it.
  if (isKnown) await restartContainerd(findContainerd())
}
