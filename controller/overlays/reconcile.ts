import type { Attachment, PersistentOverlay } from '../../crds/persistent-overlay.ts'
import { parseKey } from '../../kube/resource.ts'
import { instances, persistentOverlays, pods } from '../../kube/resources.ts'
import { announce } from '../announce.ts'
import type { Context, Result } from '../context.ts'
import { writeStatus } from '../write-status.ts'
import { isWanted, mayHold, rebuiltAttachments } from './holders.ts'
import { type ClaimFinding, ensureClaim, rememberedBase } from './observe-claim.ts'
import { controllerStatus, statusAfter } from './status.ts'

/** Whether a pod may still have it mounted, read live: a cache may not have seen the pod that was made a moment ago. */
const isHeld = async ({ client }: Context, overlay: PersistentOverlay, attachment: Attachment): Promise<boolean> => {
  const { namespace, name } = overlay.metadata
  const pod = await client.get(pods, { namespace, name: attachment.instanceName })
  return mayHold(pod, attachment.instanceUID, name)
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
  const rebuilt = rebuiltAttachments(
    overlay,
    caches.pods.by('namespace', namespace),
    caches.instances.by('namespace', namespace),
  )
  return [
    ...(await keepIf(overlay.status.attachments ?? [], async (each) => !(await isOver(context, overlay, each)))),
    ...(await keepIf(rebuilt, (each) => isHeld(context, overlay, each))),
  ]
}

/** Nothing tells when a provisioner gives up or tries again. */
const lookAgainMs = 3_000

/** A claim that waits for its first consumer, and has one, is being provisioned. */
const requeue = ({ kind }: ClaimFinding, attachments: readonly Attachment[]): Result =>
  kind === 'bound' || (kind === 'waitsForConsumer' && attachments.length === 0) ? {} : { requeueAfterMs: lookAgainMs }

/** The claim as the spec asks, and attachments only of those who may still have it mounted. */
export const createOverlayReconciler =
  (context: Context) =>
  async (key: string): Promise<Result> => {
    const { caches, client, clock, events, serially } = context
    const objectKey = parseKey(key)
    const seen = caches.overlays.get(objectKey)
    if (!seen || seen.metadata.deletionTimestamp) return {}
    const finding = await ensureClaim(context, seen)
    return serially(objectKey.namespace, async () => {
      const overlay = caches.overlays.get(objectKey)
      if (overlay?.metadata.uid !== seen.metadata.uid) return {}
      const attachments = await currentAttachments(context, overlay)
      const base =
        overlay.status.base ?? ('claim' in finding && finding.claim ? rememberedBase(finding.claim) : undefined)
      const after = statusAfter(overlay, { finding, attachments, base, now: clock.now() })
      const before = controllerStatus(overlay.status)
      caches.overlays.note(await writeStatus(client, persistentOverlays, overlay, { before, after }))
      announce(events, { kind: 'PersistentOverlay', metadata: overlay.metadata }, before.conditions, after.conditions)
      return requeue(finding, attachments)
    })
  }
