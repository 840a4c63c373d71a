import type { Attachment, PersistentOverlay, PersistentOverlayStatus } from '../../crds/persistent-overlay.ts'
import { persistentOverlays } from '../../kube/resources.ts'
import { announce } from '../announce.ts'
import type { Context } from '../context.ts'
import { isStarting, manyStart } from '../instances/starting.ts'
import { writeStatus } from '../write-status.ts'
import type { ClaimFinding } from './observe-claim.ts'
import { waitsForMore } from './soon.ts'
import { controllerStatus, statusAfter } from './status.ts'

/** All that the controller has to say of an overlay. */
export interface Said {
  finding: ClaimFinding
  attachments: Attachment[]
  /** Of pods that should have ended: what keeps them, in words. */
  overdue: readonly string[]
  base: PersistentOverlayStatus['base']
}

/**
 * @returns milliseconds that what is new may wait for more; 0 when all is written
 * @throws ApiError with reason Conflict when the overlay changed in between
 */
export const writeOverlay = async (
  { client, caches, clock, events }: Context,
  overlay: PersistentOverlay,
  said: Said,
): Promise<number> => {
  const now = clock.now()
  const before = controllerStatus(overlay.status)
  const after = statusAfter(overlay, { ...said, now })
  const [attachment] = said.attachments
  const holder = attachment && caches.instances.get({ ...overlay.metadata, name: attachment.instanceName })
  const isStart = manyStart(caches, now) || (holder !== undefined && isStarting(holder))
  const waitMs = waitsForMore(before, after, { isStart, now })
  if (waitMs > 0) return waitMs
  caches.overlays.note(await writeStatus(client, persistentOverlays, overlay, { before, after }))
  announce(events, { kind: 'PersistentOverlay', metadata: overlay.metadata }, before.conditions, after.conditions)
  return 0
}
