import type { KubeClient } from '../../kube/client.ts'
import { type Clock, pause } from '../../kube/clock.ts'
import { labels, managedByValue } from '../../kube/names.ts'
import { daemonSets, leases, pods } from '../../kube/resources.ts'

interface Removal {
  client: Pick<KubeClient, 'list' | 'mergePatch' | 'delete'>
  clock: Clock
  /** Of the controller. */
  namespace: string
  signal: AbortSignal
}

const lookEveryMs = 1_000
/** A leader looks at its lease every two seconds or so, and works on until then. */
const quietMs = 5_000
const podsMs = 30_000
/** Until the controllers lead again, should the uninstallation not go on. */
const leaseSeconds = 20

const selection = { labelSelector: `${labels.prefetch},${labels.managedBy}=${managedByValue}` }

/** Whoever leads would make them anew. It ends when the lease is another's, and the others wait for that to run out. */
const suspendControllers = async ({ client, clock, namespace }: Removal): Promise<void> => {
  const spec = {
    holderIdentity: 'lamina-before-uninstall',
    leaseDurationSeconds: leaseSeconds,
    renewTime: clock.now().toISOString().replace('Z', '000Z'),
  }
  await client.mergePatch(leases, { namespace, name: 'lamina-controller' }, { spec })
}

/** Asks until the answer has been yes for so long, or until it is late. */
const untilStill = async (
  { clock, signal }: Removal,
  { stillMs, longestMs }: { stillMs: number; longestMs: number },
  ask: () => Promise<boolean>,
): Promise<void> => {
  const start = clock.monotonicMs()
  for (let since = start; !signal.aborted; ) {
    const isSo = await ask()
    const now = clock.monotonicMs()
    if (!isSo) since = now
    if ((isSo && now - since >= stillMs) || now - start >= longestMs) return
    await pause(clock, lookEveryMs, signal)
  }
}

/**
 * Removes the DaemonSets of all prefetches, which belong to ContainerImages and
 * so would outlive the operator, and waits for their pods to end: the nodes'
 * agents clear up behind them.
 *
 * @returns how many there were
 */
export const removePrefetches = async (removal: Removal): Promise<number> => {
  const { client } = removal
  const found = await client.list(daemonSets, selection)
  if (found.length === 0) return 0
  const removed = async (): Promise<boolean> => {
    await suspendControllers(removal)
    const present = await client.list(daemonSets, selection)
    await Promise.all(present.map(({ metadata }) => client.delete(daemonSets, metadata, { uid: metadata.uid })))
    return present.length === 0
  }
  await untilStill(removal, { stillMs: quietMs, longestMs: podsMs }, removed)
  const gone = async (): Promise<boolean> => (await removed()) && (await client.list(pods, selection)).length === 0
  await untilStill(removal, { stillMs: 0, longestMs: podsMs }, gone)
  return found.length
}
