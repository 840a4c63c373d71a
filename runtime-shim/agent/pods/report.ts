import type { Condition } from '../../../crds/common.ts'
import type { GrowthBlocked, PersistentOverlay, Usage } from '../../../crds/persistent-overlay.ts'
import type { KubeClient } from '../../../kube/client.ts'
import { type Clock, timestamp } from '../../../kube/clock.ts'
import type { EventRecorder } from '../../../kube/events.ts'
import { apiVersion, unhealthy } from '../../../kube/names.ts'
import { persistentOverlays } from '../../../kube/resources.ts'
import { createSerializer } from '../../../kube/serially.ts'
import type { Figures } from '../../node/ticket.ts'
import { fillOf, fullnessEvent, levelOf } from '../usage/fullness.ts'

/** The agent's name in `metadata.managedFields`: server-side apply keeps the controller's fields apart. */
export const fieldManager = 'lamina-node'

/** What the node has found out about an overlay. */
export interface Found {
  /** Undefined when they could not be read: then those that were told last stand. */
  figures?: Figures | undefined
  /** What keeps it from growing while it is mounted. */
  growthBlocked?: GrowthBlocked | undefined
  /** Why the runtime could not mount it, or only in spite of damage. */
  unmountable?: string | undefined
  /** Whether e2fsck went over it. */
  checked?: boolean
  /** What e2fsck mended, in its words. */
  repaired?: readonly string[] | undefined
  /** What e2fsck -p leaves to a person, and what to do. */
  damaged?: string | undefined
  /** An instance writes or has written to it: then it matters how full it is. */
  used?: boolean
  /** It is mounted, and this is what the kernel does with it. */
  mounted?: { readOnly: boolean } | undefined
  /** Format Directory: the figures are of the volume's whole file system. */
  ofVolume?: boolean | undefined
  /** The level of fullness that was told last ({@link levelOf}); by its status when left out. */
  level?: number | undefined
}

/** How much is in use, and how much there is, in bytes. */
export const amountsOf = ({ blockSize, blocks, freeBlocks, inodes, freeInodes }: Figures) => ({
  usedBytes: (blocks - freeBlocks) * blockSize,
  usedInodes: inodes - freeInodes,
  capacityBytes: blocks * blockSize,
  capacityInodes: inodes,
})

export const usageOf = (figures: Figures, now: Date, growthBlocked?: GrowthBlocked): Usage => ({
  ...amountsOf(figures),
  ...(growthBlocked ? { growthBlocked } : {}),
  observedTime: timestamp(now),
})

export type Health = Pick<Condition, 'status' | 'reason' | 'message'>

const errorsOf = (errorCount: number, { mounted }: Found): string => {
  const noted = `the kernel noted ${errorCount} file-system errors`
  if (!mounted) return `${noted}: the next start checks it`
  const stopped = mounted.readOnly ? ' and writes to it no more' : ''
  return `${noted}${stopped}: stop the instance, and the next start checks it`
}

const shownRepairs = 5

const repairsOf = (repaired: readonly string[]): string => {
  const more = repaired.length > shownRepairs ? `; and ${repaired.length - shownRepairs} more` : ''
  return `e2fsck has mended it: ${repaired.slice(0, shownRepairs).join('; ')}${more}`
}

/** What only the next check takes back: mounts and clean ends that follow tell nothing of it. */
const standing: readonly string[] = ['Repaired', unhealthy.damaged, unhealthy.checkNeeded]

const unmountableOf = (words: string): string => `${words}: the next start that has it ReadWrite goes over it first`

/** The condition Healthy: the worst of what is known. */
export const healthOf = (found: Found, before: Health | undefined): Health => {
  const { figures, checked, repaired, damaged, mounted, ofVolume, unmountable } = found
  const errorCount = figures?.errorCount ?? 0
  if (damaged !== undefined) return { status: 'False', reason: unhealthy.damaged, message: damaged }
  if (errorCount > 0) return { status: 'False', reason: unhealthy.errorsNoted, message: errorsOf(errorCount, found) }
  if (unmountable !== undefined && before?.reason !== unhealthy.damaged)
    return { status: 'False', reason: unhealthy.checkNeeded, message: unmountableOf(unmountable) }
  if (repaired?.length) return { status: 'True', reason: 'Repaired', message: repairsOf(repaired) }
  if (figures?.needsRecovery && !mounted) {
    const message = 'not cleanly unmounted: its journal is replayed at the next mount'
    return { status: 'True', reason: 'JournalPending', message }
  }
  if (before && !checked && standing.includes(before.reason)) {
    const { status, reason, message } = before
    return { status, reason, message }
  }
  const message = ofVolume ? 'a directory of its volume: usage is that of the whole volume' : ''
  return { status: 'True', reason: 'Clean', message }
}

export const healthOfStatus = ({ status }: PersistentOverlay): Condition | undefined =>
  status.conditions?.find(({ type }) => type === 'Healthy')

/** The agent's part of an overlay's status: usage, health, and when it was last checked. */
const reportedStatus = (overlay: PersistentOverlay, found: Found, now: Date) => {
  const { metadata, status } = overlay
  const before = healthOfStatus(overlay)
  const health = healthOf(found, before)
  const lastTransitionTime = before?.status === health.status ? before.lastTransitionTime : timestamp(now)
  const lastCheckTime = found.checked ? timestamp(now) : status.lastCheckTime
  const usage = found.figures ? usageOf(found.figures, now, found.growthBlocked) : status.usage
  return {
    ...(usage === undefined ? {} : { usage }),
    ...(lastCheckTime === undefined ? {} : { lastCheckTime }),
    conditions: [{ type: 'Healthy', ...health, lastTransitionTime, observedGeneration: metadata.generation }],
  }
}

interface Tidings {
  reason: string
  message: string
}

/** Verdicts that are told as Events too, by the reason of the condition. */
const eventsOfHealth: Readonly<Record<string, string>> = {
  [unhealthy.errorsNoted]: 'OverlayFileSystemErrors',
  [unhealthy.checkNeeded]: 'OverlayCheckNeeded',
  [unhealthy.damaged]: 'OverlayDamaged',
  Repaired: 'OverlayRepaired',
}

const tidingsOf = (
  overlay: PersistentOverlay,
  { found, instance }: { found: Found; instance: string },
  { usage, conditions }: ReturnType<typeof reportedStatus>,
): Tidings[] => {
  const before = found.level ?? (overlay.status.usage ? levelOf(fillOf(overlay.status.usage), 0) : 0)
  const level = usage ? levelOf(fillOf(usage), before) : before
  const full = usage && found.used && level > before ? fullnessEvent(level, { instance, ...usage }) : undefined
  const ill = conditions.flatMap(({ reason, message }) => {
    const isNew = healthOfStatus(overlay)?.reason !== reason || (reason === 'Repaired' && found.checked)
    const event = isNew ? eventsOfHealth[reason] : undefined
    return event ? [{ reason: event, message: `used by instance "${instance}": ${message}` }] : []
  })
  return full ? [full, ...ill] : ill
}

/** An overlay, and the instance through which the node knows of it. */
export interface OverlayInUse {
  namespace: string
  name: string
  uid: string
  instance: string
}

/**
 * Tells in the overlay's status, and in Events where it matters, what the node
 * has found out; nothing when the overlay of that uid is gone. One at a time for
 * an overlay: what is told last is what was found last.
 *
 * @param decide what there is to tell, in view of what its status says; undefined for nothing
 * @returns the overlay as it was before; undefined when it is gone
 */
export type OverlayReporter = (
  overlay: OverlayInUse,
  decide: (status: PersistentOverlay) => Found | undefined,
) => Promise<PersistentOverlay | undefined>

export const createOverlayReporter = ({
  client,
  events,
  clock,
}: {
  client: Pick<KubeClient, 'get' | 'apply'>
  events: EventRecorder
  clock: Pick<Clock, 'now'>
}): OverlayReporter => {
  const onePerOverlay = createSerializer()
  const report: OverlayReporter = async ({ namespace, name, uid, instance }, decide) => {
    const overlay = await client.get(persistentOverlays, { namespace, name })
    if (overlay?.metadata.uid !== uid) return undefined
    const found = decide(overlay)
    if (!found) return overlay
    const status = reportedStatus(overlay, found, clock.now())
    const body = { metadata: { namespace, name, uid }, status }
    await client.apply(persistentOverlays, body, { fieldManager, subresource: 'status' })
    const about = { apiVersion, kind: persistentOverlays.kind, metadata: overlay.metadata }
    for (const { reason, message } of tidingsOf(overlay, { found, instance }, status))
      events.event(about, 'Warning', reason, message)
    return overlay
  }
  return (overlay, decide) => onePerOverlay(overlay.uid, () => report(overlay, decide))
}
