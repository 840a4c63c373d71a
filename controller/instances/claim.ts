import type { Instance } from '../../crds/instance.ts'
import type { Attachment, OverlayBase, PersistentOverlay } from '../../crds/persistent-overlay.ts'
import { timestamp } from '../../kube/clock.ts'
import { formatKey, keyOf } from '../../kube/resource.ts'
import { persistentOverlays, pods } from '../../kube/resources.ts'
import type { Context } from '../context.ts'
import { claimKeyOf } from '../overlays/claim.ts'
import { isUntouched, isUsable } from '../overlays/first-claim.ts'
import { mayHold } from '../overlays/holders.ts'
import { type ClaimFinding, ensureClaim } from '../overlays/observe-claim.ts'
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
  const before = controllerStatus(overlay.status)
  const after = withAttachments(overlay, attachments, base, clock.now())
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

/** How the claims stand that are made along with this one, in the order of `wanted`; undefined of overlays that have theirs. */
const firstClaims = async (
  context: Context,
  wanted: readonly OverlayClaim[],
  base: OverlayBase,
): Promise<(ClaimFinding | undefined)[]> => {
  const findings: (ClaimFinding | undefined)[] = []
  for (const { overlay, writes } of wanted) {
    const isFirst = isUntouched(context, overlay)
    findings.push(isFirst ? await ensureClaim(context, overlay, writes ? base : undefined) : undefined)
  }
  return findings
}

/**
 * Claims all overlays of the instance or none, so that no two wait for each other. The first
 * writer's image becomes the overlay's base. An overlay that nobody has looked at yet gets its
 * volume claim with that, and one status write for both.
 *
 * @returns `unusable` when such a claim could not be made: the overlay's status says why
 * @throws ApiError with reason Conflict when an overlay changed in between; what was claimed is given back
 */
export const claimOverlays = (
  context: Context,
  instance: Instance,
  base: OverlayBase,
): Promise<Allocation | { kind: 'unusable' }> => {
  const concerned = [...overlaysOf(context, instance).values(), ...heldBy(context, instance)]
  return context.serially(concerned.map(claimKeyOf), async () => {
    const allocation = allocationNow(context, instance)
    if (allocation.kind !== 'granted') return allocation
    const { claims } = allocation
    const findings = await firstClaims(context, claims, base)
    const isGranted = findings.every((finding) => finding === undefined || isUsable(finding))
    try {
      for (const [index, { overlay, attachments, writes }] of claims.entries()) {
        const finding = findings[index]
        const upon = isGranted && writes ? base : undefined
        const granted = isGranted ? attachments : []
        if (finding) await writeOverlay(context, overlay, { finding, attachments: granted, overdue: [], base: upon })
        else if (isGranted) await writeAttachments(context, overlay, attachments, upon)
      }
    } catch (error) {
      await withdraw(context, instance)
      throw error
    }
    return isGranted ? allocation : { kind: 'unusable' }
  })
}
