import type { Instance } from '../../crds/instance.ts'
import type { Attachment, OverlayBase, PersistentOverlay } from '../../crds/persistent-overlay.ts'
import { timestamp } from '../../kube/clock.ts'
import { formatKey, keyOf, parseKey } from '../../kube/resource.ts'
import { persistentOverlays, pods } from '../../kube/resources.ts'
import type { Context } from '../context.ts'
import { claimKeyOf } from '../overlays/claim.ts'
import { isUntouched, isUsable, makeFirstClaim } from '../overlays/first-claim.ts'
import { mayHold } from '../overlays/holders.ts'
import { rememberedBase } from '../overlays/observe-claim.ts'
import { controllerStatus, withAttachments } from '../overlays/status.ts'
import { writeOverlay } from '../overlays/write.ts'
import { writeStatus } from '../write-status.ts'
import { type Allocation, allocate, type OverlayClaim } from './allocate.ts'
import { asClaimant, waitingOthers } from './waiting.ts'

/** Those that the instance asks for, where they are there. */
const overlaysOf = (
  { caches }: Context,
  { metadata: { namespace }, spec }: Instance,
): ReadonlyMap<string, PersistentOverlay> =>
  new Map(
    spec.overlays.flatMap(({ name }): [string, PersistentOverlay][] => {
      const overlay = caches.overlays.get({ namespace, name })
      return overlay ? [[name, overlay]] : []
    }),
  )

/** Those that it has, whether or not it still asks for them. */
const heldBy = ({ caches }: Context, instance: Instance): PersistentOverlay[] =>
  caches.overlays
    .by('holder', keyOf(instance))
    .filter(({ status }) => status.attachments?.some(({ instanceUID }) => instanceUID === instance.metadata.uid))

/** Whoever asks for one of the same. */
const rivalsOf = ({ caches }: Context, { metadata: { namespace }, spec }: Instance): Instance[] =>
  spec.overlays.flatMap(({ name }) => caches.instances.by('overlay', formatKey({ namespace, name })))

const writeAttachments = async (
  { client, caches, clock }: Context,
  overlay: PersistentOverlay,
  attachments: Attachment[],
  base: OverlayBase | undefined,
): Promise<void> => {
  const claim = overlay.spec.storage.existingClaimName ? undefined : caches.claims.get(parseKey(claimKeyOf(overlay)))
  const before = controllerStatus(overlay.status)
  const after = withAttachments(overlay, attachments, { base, remembered: claim && rememberedBase(claim) }, clock.now())
  caches.overlays.note(await writeStatus(client, persistentOverlays, overlay, { before, after }))
}

/** Gives back what the instance holds of overlays that no pod can have mounted for it: that is read live. */
const withdraw = async (context: Context, instance: Instance): Promise<void> => {
  const { uid, namespace, name } = instance.metadata
  const pod = await context.client.get(pods, { namespace, name })
  for (const overlay of heldBy(context, instance)) {
    const others = overlay.status.attachments?.filter(({ instanceUID }) => instanceUID !== uid) ?? []
    if (mayHold(pod, { instanceUID: uid, instance }, overlay)) continue
    await writeAttachments(context, overlay, others, undefined)
  }
}

/** {@link withdraw}, with no other at the same overlays: for an instance that waits without a pod. Claims without a pod would block others for nothing. */
export const withdrawClaims = async (context: Context, instance: Instance): Promise<void> => {
  const held = heldBy(context, instance)
  if (held.length > 0) await context.serially(held.map(claimKeyOf), () => withdraw(context, instance))
}

const allocationNow = (context: Context, instance: Instance): Allocation => {
  const now = context.clock.now()
  return allocate(
    asClaimant(instance, now),
    overlaysOf(context, instance),
    waitingOthers(instance, rivalsOf(context, instance)),
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

/** Writes who has the overlay; of one without a claim, also how that stands. @returns false when no pod can be made with it */
const writeClaim = async (
  context: Context,
  { overlay, attachments, writes }: OverlayClaim,
  image: OverlayBase,
): Promise<boolean> => {
  const base = writes ? image : undefined
  if (!isUntouched(context, overlay)) {
    await writeAttachments(context, overlay, attachments, base)
    return true
  }
  const finding = await makeFirstClaim(context, overlay)
  if (!finding) return false
  const granted = isUsable(finding) ? { attachments, base } : { attachments: [], base: undefined }
  await writeOverlay(context, overlay, { finding, overdue: [], ...granted })
  return isUsable(finding)
}

/**
 * Claims all overlays of the instance or none, so that no two wait for each other. The first
 * writer's image becomes the overlay's base. An overlay that nobody has looked at yet gets its
 * volume claim with that, and one status write for both.
 *
 * @returns `unready` when an overlay has no claim to use: its own passes see to that
 * @throws ApiError with reason Conflict when an overlay changed in between; what was claimed is given back
 */
export const claimOverlays = (
  context: Context,
  instance: Instance,
  base: OverlayBase,
): Promise<Allocation | { kind: 'unready'; overlay: string }> => {
  const concerned = [...overlaysOf(context, instance).values(), ...heldBy(context, instance)]
  return context.serially(concerned.map(claimKeyOf), async () => {
    const allocation = allocationNow(context, instance)
    if (allocation.kind !== 'granted') return allocation
    try {
      for (const claim of allocation.claims) {
        if (await writeClaim(context, claim, base)) continue
        await withdraw(context, instance)
        return { kind: 'unready', overlay: claim.overlay.metadata.name }
      }
    } catch (error) {
      await withdraw(context, instance)
      throw error
    }
    return allocation
  })
}
