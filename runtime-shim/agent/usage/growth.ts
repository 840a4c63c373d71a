import type { GrowthBlocked, PersistentOverlay } from '../../../crds/persistent-overlay.ts'
import type { EventRecorder } from '../../../kube/events.ts'
import type { Logger } from '../../../kube/log.ts'
import { apiVersion } from '../../../kube/names.ts'
import { mebibytes, parseQuantity } from '../../../kube/quantity.ts'
import { persistentOverlays } from '../../../kube/resources.ts'
import { deviceSize, usableBytes } from '../../mount/undertaking.ts'
import { growMountedApart } from '../overlay/apart.ts'
import type { GrowthOutcome, MountedGrowth } from '../overlay/grow-mounted.ts'
import { Trouble } from '../trouble.ts'
import type { Probed } from './probe.ts'
import type { RunningOverlay } from './running.ts'

export type Growth = { kind: 'none' } | { kind: 'grown' } | { kind: 'blocked'; by: GrowthBlocked }

const none: Growth = { kind: 'none' }

const blockedBy = (
  outcome: Extract<GrowthOutcome, { why: string }>,
  { spec: { size } }: PersistentOverlay,
): GrowthBlocked => {
  const bytes = parseQuantity(size)
  return outcome.kind === 'later'
    ? { bytes, reason: 'RestartRequired', message: `the file system grows at the next start: ${outcome.why}` }
    : { bytes, reason: 'OverlayTooSmall', message: outcome.why }
}

/** Gives overlays that are in use the size that they are to have. */
export interface OverlayGrower {
  /**
   * @param overlay as its spec was just read
   * @returns whether its file system has another size now, or what keeps it from that until the next start
   */
  grow(running: RunningOverlay, probed: Probed, overlay: PersistentOverlay): Promise<Growth>
  /** To be called when it is let go. */
  forget(key: string): void
}

export interface GrowthParts {
  lockDir: string
  /** The program {@link ../overlay/worker/main.ts}. */
  worker: string
  onePerOverlay<T>(overlayUID: string, act: () => Promise<T>): Promise<T>
  events: EventRecorder
  log: Logger
}

/**
 * How many bytes the file system is to have; undefined when it is not to grow. On
 * a claim that Lamina did not make an image keeps its size; of a block volume all
 * is used. A device that other nodes have too waits for the next start: nothing
 * of ours holds it while it is grown, should its container end meanwhile.
 */
export const wantedBytes = (
  { spec: { size, format, storage } }: PersistentOverlay,
  { record }: Pick<RunningOverlay, 'record'>,
  { figures: { blocks, blockSize } }: Probed,
): number | undefined => {
  if (format !== 'Image' || storage.existingClaimName !== undefined) return undefined
  if (record.device && storage.accessMode === 'ReadWriteMany') return undefined
  const wanted = record.device ? usableBytes(deviceSize(record.device)) : parseQuantity(size)
  return wanted - blocks * blockSize >= blockSize ? wanted : undefined
}

/** The volume grows a moment after the spec has: that there is no room yet is told when it lasts. */
const patience = 2

export const createOverlayGrower = (
  parts: GrowthParts,
  growOne: (growth: MountedGrowth) => Promise<GrowthOutcome> = growMountedApart,
): OverlayGrower => {
  const { events, log } = parts
  /** Sizes that must wait for the next start, and how often there was no room. */
  const later = new Map<string, number>()
  const failures = new Map<string, number>()

  const attempt = async ({ record, uid }: RunningOverlay, size: number, sparse: boolean): Promise<GrowthOutcome> => {
    const { lockDir, worker } = parts
    return parts.onePerOverlay(uid, () => growOne({ record, size, sparse, lockDir, worker }))
  }

  const grow: OverlayGrower['grow'] = async (running, probed, overlay) => {
    const { key, instance } = running
    const size = wantedBytes(overlay, running, probed)
    if (size === undefined || later.get(key) === size) return none
    const subject = { kind: persistentOverlays.kind, namespace: running.namespace, name: running.name, instance }
    const about = { apiVersion, kind: persistentOverlays.kind, metadata: overlay.metadata }
    try {
      const outcome = await attempt(running, size, overlay.spec.ext3?.allocation === 'Sparse')
      failures.delete(key)
      if (outcome.kind === 'grown') {
        const bytes = mebibytes(outcome.bytes)
        events.event(about, 'Normal', 'OverlayGrown', `grown to ${bytes} while instance "${instance}" uses it`)
        log.info({ ...subject, bytes: outcome.bytes }, 'grown while it is in use')
        return { kind: 'grown' }
      }
      later.set(key, size)
      if (outcome.kind === 'enough') return none
      log.info({ ...subject, why: outcome.why }, 'not grown while it is in use')
      return { kind: 'blocked', by: blockedBy(outcome, overlay) }
    } catch (error) {
      if (!(error instanceof Trouble)) throw error
      const count = (failures.get(key) ?? 0) + 1
      failures.set(key, count)
      if (count >= patience) events.event(about, 'Warning', error.reason, error.message)
      log.warn({ ...subject, reason: error.reason }, error.message)
      return none
    }
  }

  return {
    grow,
    forget: (key) => {
      later.delete(key)
      failures.delete(key)
    },
  }
}
