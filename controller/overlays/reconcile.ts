import type { Attachment, PersistentOverlay, PersistentOverlayStatus } from '../../crds/persistent-overlay.ts'
import { parseKey } from '../../kube/resource.ts'
import { instances, pods } from '../../kube/resources.ts'
import { conditionOf } from '../conditions.ts'
import type { Context, Result } from '../context.ts'
import { askForGrowth } from './ask-growth.ts'
import { claimKeyOf, claimNameOf } from './claim.ts'
import { rivalOf } from './contest.ts'
import { observeExistingClaim } from './existing-claim.ts'
import { isUntouched } from './first-claim.ts'
import { isWanted, mayHold, rebuiltAttachments } from './holders.ts'
import { type ClaimFinding, ensureClaim, rememberedBase } from './observe-claim.ts'
import { endingHolders, overdueOf } from './overdue.ts'
import { lookForTroubleMs } from './provisioning.ts'
import { waitsForInstance } from './soon.ts'
import { writeOverlay } from './write.ts'

/** Whether a pod may still have it mounted, read live: a cache may not have seen the pod that was made a moment ago. */
const isHeld = async (
  { client, caches }: Context,
  overlay: PersistentOverlay,
  { instanceName, instanceUID }: Attachment,
): Promise<boolean> => {
  const key = { namespace: overlay.metadata.namespace, name: instanceName }
  const pod = await client.get(pods, key)
  return mayHold(pod, { instanceUID, instance: caches.instances.get(key) }, overlay)
}

/** An attachment ends when its instance no longer asks for it *and* no pod can still have it mounted. */
const isOver = async (context: Context, overlay: PersistentOverlay, attachment: Attachment): Promise<boolean> => {
  const key = { namespace: overlay.metadata.namespace, name: attachment.instanceName }
  if (isWanted(attachment, overlay.metadata.name, context.caches.instances.get(key))) return false
  if (isWanted(attachment, overlay.metadata.name, await context.client.get(instances, key))) return false
  return !(await isHeld(context, overlay, attachment))
}

const keepIf = async <T>(items: readonly T[], test: (item: T) => Promise<boolean>): Promise<T[]> => {
  const kept = await Promise.all(items.map(test))
  return items.filter((_, index) => kept[index])
}

const currentAttachments = async (context: Context, overlay: PersistentOverlay): Promise<Attachment[]> => {
  const { namespace } = overlay.metadata
  const { caches } = context
  const pods = caches.pods.by('claim', claimKeyOf(overlay))
  const owners = pods.flatMap(({ metadata: { name } }) => caches.instances.get({ namespace, name }) ?? [])
  const rebuilt = rebuiltAttachments(overlay, pods, owners)
  return [
    ...(await keepIf(overlay.status.attachments ?? [], async (each) => !(await isOver(context, overlay, each)))),
    ...(await keepIf(rebuilt, (each) => isHeld(context, overlay, each))),
  ]
}

/** Nothing tells when what stands in a claim's way has gone: the longer it has, the later it is looked for. */
const lookAgainMs = ({ clock }: Context, { status }: PersistentOverlay): number => {
  const since = conditionOf(status.conditions, 'Ready')?.lastTransitionTime
  const stoodMs = since === undefined ? 0 : clock.now().getTime() - Date.parse(since)
  return Math.min(Math.max(stoodMs, 3_000), lookAgainSeldomMs)
}
/** Nothing tells of changes of a claim that is not ours, nor of nodes. */
const lookAgainSeldomMs = 60_000

const isCalm = ({ kind }: ClaimFinding): boolean => ['bound', 'notAllowed', 'unsuitable'].includes(kind)

const requeue = (
  context: Context,
  overlay: PersistentOverlay,
  finding: ClaimFinding,
  attachments: readonly Attachment[],
): Result => {
  const isUnseen = overlay.spec.storage.existingClaimName !== undefined
  const isIdle = finding.kind === 'waitsForConsumer' && attachments.length === 0
  if (!isUnseen && (finding.kind === 'pending' || (finding.kind === 'waitsForConsumer' && !isIdle))) {
    return { requeueAfterMs: lookForTroubleMs(context, finding.claim, overlay) }
  }
  if (!isCalm(finding) && !isIdle) return { requeueAfterMs: lookAgainMs(context, overlay) }
  const mayChangeUnseen = isUnseen || endingHolders(context, overlay, attachments).length > 0
  return mayChangeUnseen ? { requeueAfterMs: lookAgainSeldomMs } : {}
}

const observeClaim = (context: Context, overlay: PersistentOverlay): Promise<ClaimFinding> =>
  overlay.spec.storage.existingClaimName === undefined
    ? ensureClaim(context, overlay)
    : observeExistingClaim(context, overlay)

/** What mends itself only by somebody's doing is worse than to have no place. */
const isOutOfUse = ({ kind }: ClaimFinding): boolean =>
  kind === 'notAllowed' || kind === 'unsuitable' || kind === 'lost'

/** To be asked by one at a time for a claim: of two that come at once, the second must see the first. */
const contested = ({ caches }: Context, overlay: PersistentOverlay): ClaimFinding | undefined => {
  const rival = rivalOf(overlay, caches.overlays.by('claim', claimKeyOf(overlay)))
  return (
    rival && {
      kind: 'taken',
      message: `overlay "${rival.metadata.name}" has the same place in PersistentVolumeClaim ${claimNameOf(overlay)} already: delete one of the two, or make this one anew with another storage.path`,
    }
  )
}

/** The image that the overlay was first written upon. A claim that is not ours is anybody's to annotate. */
const baseOf = ({ spec, status }: PersistentOverlay, finding: ClaimFinding): PersistentOverlayStatus['base'] => {
  const claim = 'claim' in finding ? finding.claim : undefined
  return status.base ?? (claim && spec.storage.existingClaimName === undefined ? rememberedBase(claim) : undefined)
}

/** The claim as the spec asks, and attachments only of those who may still have it mounted. */
export const createOverlayReconciler =
  (context: Context) =>
  async (key: string): Promise<Result> => {
    const { caches, serially } = context
    const objectKey = parseKey(key)
    const seen = caches.overlays.get(objectKey)
    if (!seen || seen.metadata.deletionTimestamp) return {}
    const waitMs = isUntouched(context, seen)
      ? waitsForInstance(caches.instances.by('overlay', key), context.clock.now())
      : 0
    if (waitMs > 0) return { requeueAfterMs: waitMs }
    const observed = await observeClaim(context, seen)
    return serially([claimKeyOf(seen)], async () => {
      const overlay = caches.overlays.get(objectKey)
      if (overlay?.metadata.uid !== seen.metadata.uid) return {}
      const finding = (isOutOfUse(observed) ? undefined : contested(context, overlay)) ?? observed
      const attachments = await currentAttachments(context, overlay)
      const overdue = await overdueOf(context, overlay, attachments)
      const base = baseOf(overlay, finding)
      const laterMs = await writeOverlay(context, overlay, { finding, attachments, overdue, base })
      if (laterMs > 0) return { requeueAfterMs: laterMs }
      await askForGrowth(context, overlay, { finding, attachments })
      return requeue(context, overlay, finding, attachments)
    })
  }
