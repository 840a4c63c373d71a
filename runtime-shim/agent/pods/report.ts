import type { Condition } from '../../../crds/common.ts'
import type { PersistentOverlay, Usage } from '../../../crds/persistent-overlay.ts'
import type { KubeClient } from '../../../kube/client.ts'
import { timestamp } from '../../../kube/clock.ts'
import { persistentOverlays } from '../../../kube/resources.ts'
import type { Figures } from '../../node/ticket.ts'

/** The agent's name in `metadata.managedFields`: server-side apply keeps the controller's fields apart. */
export const fieldManager = 'lamina-node'

const usageOf = ({ blockSize, blocks, freeBlocks, inodes, freeInodes }: Figures, now: Date): Usage => ({
  usedBytes: (blocks - freeBlocks) * blockSize,
  usedInodes: inodes - freeInodes,
  capacityBytes: blocks * blockSize,
  capacityInodes: inodes,
  observedTime: timestamp(now),
})

type Health = Pick<Condition, 'status' | 'reason' | 'message'>

const healthOf = ({ errorCount, needsRecovery }: Figures): Health => {
  if (errorCount > 0) {
    const message = `the kernel noted ${errorCount} file-system errors: the next start checks it`
    return { status: 'False', reason: 'FileSystemErrors', message }
  }
  const message = needsRecovery ? 'not cleanly unmounted: its journal is replayed at the next mount' : ''
  return { status: 'True', reason: needsRecovery ? 'JournalPending' : 'Clean', message }
}

/** The agent's part of an overlay's status: usage, health, and when it was last checked. */
const reportedStatus = (
  { metadata, status }: PersistentOverlay,
  { figures, checked }: { figures: Figures; checked: boolean },
  now: Date,
) => {
  const health = healthOf(figures)
  const before = status.conditions?.find(({ type }) => type === 'Healthy')
  const lastTransitionTime = before?.status === health.status ? before.lastTransitionTime : timestamp(now)
  const lastCheckTime = checked ? timestamp(now) : status.lastCheckTime
  return {
    usage: usageOf(figures, now),
    ...(lastCheckTime === undefined ? {} : { lastCheckTime }),
    conditions: [{ type: 'Healthy', ...health, lastTransitionTime, observedGeneration: metadata.generation }],
  }
}

/** Writes it, unless the overlay of that uid is gone. */
export const reportOverlay = async (
  client: KubeClient,
  { namespace, name, uid }: { namespace: string; name: string; uid: string },
  found: { figures: Figures; checked: boolean },
  now: Date,
): Promise<void> => {
  const overlay = await client.get(persistentOverlays, { namespace, name })
  if (overlay?.metadata.uid !== uid) return
  const status = reportedStatus(overlay, found, now)
  await client.apply(
    persistentOverlays,
    { metadata: { namespace, name, uid }, status },
    { fieldManager, subresource: 'status' },
  )
}
