import type { Instance } from '../../crds/instance.ts'
import type { Attachment, OverlayBase, PersistentOverlay } from '../../crds/persistent-overlay.ts'
import { timestamp } from '../../kube/clock.ts'
import { persistentOverlays, pods } from '../../kube/resources.ts'
import type { Context } from '../context.ts'
import { mayHold } from '../overlays/holders.ts'
import { controllerStatus, withAttachments } from '../overlays/status.ts'
import { writeStatus } from '../write-status.ts'
import { type Allocation, allocate } from './allocate.ts'
import { asClaimant, waitingOthers } from './waiting.ts'

const overlaysIn = (context: Context, namespace: string): ReadonlyMap<string, PersistentOverlay> =>
  new Map(context.caches.overlays.by('namespace', namespace).map((overlay) => [overlay.metadata.name, overlay]))

const writeAttachments = async (
  { client, caches, clock }: Context,
  overlay: PersistentOverlay,
  attachments: Attachment[],
  base: OverlayBase | undefined,
): Promise<void> => {
  const before = controllerStatus(overlay.status)
  const after = withAttachments(overlay, attachments, base, clock.now())
  caches.overlays.note(await writeStatus(client, persistentOverlays, overlay, { before, after }))
}

const holdsAny = ({ caches }: Context, { metadata: { uid, namespace } }: Instance): boolean =>
  caches.overlays
    .by('namespace', namespace)
    .some(({ status }) => status.attachments?.some(({ instanceUID }) => instanceUID === uid))

/** Gives back what the instance holds of overlays that no pod can have mounted for it: that is read live. */
const withdraw = async (context: Context, instance: Instance): Promise<void> => {
  const { uid, namespace, name } = instance.metadata
  const pod = await context.client.get(pods, { namespace, name })
  for (const overlay of context.caches.overlays.by('namespace', namespace)) {
    const attachments = overlay.status.attachments ?? []
    const others = attachments.filter(({ instanceUID }) => instanceUID !== uid)
    if (others.length === attachments.length || mayHold(pod, { instanceUID: uid, instance }, overlay)) continue
    await writeAttachments(context, overlay, others, undefined)
  }
}

/** {@link withdraw}, alone in the namespace: for an instance that waits without a pod. Claims without a pod would block others for nothing. */
export const withdrawClaims = async (context: Context, instance: Instance): Promise<void> => {
  if (!holdsAny(context, instance)) return
  await context.serially(instance.metadata.namespace, () => withdraw(context, instance))
}

const allocationNow = (context: Context, instance: Instance): Allocation => {
  const { namespace } = instance.metadata
  const now = context.clock.now()
  return allocate(
    asClaimant(instance, now),
    overlaysIn(context, namespace),
    waitingOthers(instance, context.caches.instances.by('namespace', namespace)),
    timestamp(now),
  )
}

/** What stands in the way of a claim, were it made now; undefined when nothing does. */
export const obstacleOf = (
  context: Context,
  instance: Instance,
): Exclude<Allocation, { kind: 'granted' }> | undefined => {
  const allocation = allocationNow(context, instance)
  return allocation.kind === 'granted' ? undefined : allocation
}

/**
 * Claims all overlays of the instance or none (DESIGN §4, step 2). The first
 * writer's image becomes the overlay's base.
 *
 * @throws ApiError with reason Conflict when an overlay changed in between; what was claimed is given back
 */
export const claimOverlays = (context: Context, instance: Instance, base: OverlayBase): Promise<Allocation> =>
  context.serially(instance.metadata.namespace, async () => {
    const allocation = allocationNow(context, instance)
    if (allocation.kind !== 'granted') return allocation
    try {
      for (const { overlay, attachments, writes } of allocation.claims) {
        await writeAttachments(context, overlay, attachments, writes ? base : undefined)
      }
    } catch (error) {
      await withdraw(context, instance)
      throw error
    }
    return allocation
  })
