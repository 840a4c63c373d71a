import { hasReason, type KubeClient } from '../../../kube/client.ts'
import { readyNodeLabel } from '../../../kube/names.ts'
import { type Node, nodes } from '../../../kube/resources.ts'
import { handlerName } from './handler-config.ts'

/** What the Node says of the handler, to the scheduler and to us. */

/** `unknown`: containerd 1 tells the kubelet nothing of its handlers. */
export type Listing = 'listed' | 'missing' | 'unknown'

export const listingOf = (node: Pick<Node, 'status'> | undefined): Listing => {
  const handlers = node?.status?.runtimeHandlers ?? []
  if (handlers.length === 0) return 'unknown'
  return handlers.some(({ name }) => name === handlerName) ? 'listed' : 'missing'
}

/**
 * Sets the label by which the RuntimeClass sends instances here. A Node that has
 * it already is not written; one without any needs no "false".
 *
 * @param ready false keeps instances away; those that run there stay
 * @returns whether the Node was written
 */
export const labelNode = async (
  client: Pick<KubeClient, 'get' | 'mergePatch'>,
  name: string,
  ready: boolean,
): Promise<boolean> => {
  for (;;) {
    const node = await client.get(nodes, { namespace: '', name })
    if (!node) return false
    const { resourceVersion, labels } = node.metadata
    if ((labels[readyNodeLabel] ?? 'false') === String(ready)) return false
    const patch = { metadata: { resourceVersion, labels: { [readyNodeLabel]: String(ready) } } }
    try {
      return (await client.mergePatch(nodes, { namespace: '', name }, patch)) !== undefined
    } catch (error) {
      // The kubelet writes the Node too.
      if (!hasReason(error, 'Conflict')) throw error
    }
  }
}
