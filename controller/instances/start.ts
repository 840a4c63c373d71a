import type { ContainerImage } from '../../crds/container-image.ts'
import type { Instance } from '../../crds/instance.ts'
import type { PersistentOverlay } from '../../crds/persistent-overlay.ts'
import { ApiError, hasReason } from '../../kube/client.ts'
import { imageSourceOf } from '../../kube/image-source.ts'
import { annotations } from '../../kube/names.ts'
import type { ObjectKey } from '../../kube/resource.ts'
import { type Pod, pods } from '../../kube/resources.ts'
import { conditionOf } from '../conditions.ts'
import type { Context } from '../context.ts'
import { claimNameOf } from '../overlays/claim.ts'
import { isUntouched } from '../overlays/first-claim.ts'
import { mustGrow } from '../overlays/growth.ts'
import { type ChosenImage, chooseImage, pullSecretsFor } from './base.ts'
import { claimOverlays, obstacleOf } from './claim.ts'
import { blockedBy } from './contention.ts'
import { followImage } from './follow.ts'
import { type PodParts, podOf } from './pod.ts'
import { isRunning, type Trouble } from './pod-state.ts'
import type { Finding, Grant } from './status.ts'
import { templateHash } from './template-hash.ts'

/** Everything that an instance's pod is made from, or what is missing. */
export type Ingredients =
  | {
      kind: 'complete'
      /** Undefined when it is gone, and the overlay's base is there. */
      image: ContainerImage | undefined
      /** Why the image cannot be told, though the overlay's base can. */
      imageTrouble: Trouble | undefined
      chosen: ChosenImage
      overlays: PersistentOverlay[]
    }
  | { kind: 'missing'; image: Trouble | undefined; overlays: Trouble | undefined }

const imageTrouble = (name: string, image: ContainerImage | undefined, namespace: string): Trouble | undefined => {
  if (!image) {
    const message = `there is no ContainerImage "${name}" in namespace ${namespace}: create it, or correct spec.imageRef`
    return { reason: 'ImageNotFound', message }
  }
  if (image.status.resolved) return undefined
  const ready = conditionOf(image.status.conditions, 'Ready')
  return {
    reason: ready?.reason ?? 'Resolving',
    message: `ContainerImage "${name}": ${ready?.message ?? 'its digest is being looked up'}`,
  }
}

const claimPending = (overlay: string): Trouble => ({
  reason: 'ClaimPending',
  message: `overlay "${overlay}": its volume claim is about to be made`,
})

const overlayTrouble = (
  context: Context,
  overlay: PersistentOverlay | undefined,
  { namespace, name }: ObjectKey,
): Trouble | undefined => {
  if (!overlay) {
    const message = `there is no PersistentOverlay "${name}" in namespace ${namespace}: create it, or correct spec.overlays`
    return { reason: 'OverlayNotFound', message }
  }
  if (isUntouched(context, overlay)) return undefined
  const stalled = conditionOf(overlay.status.conditions, 'Stalled')
  if (stalled?.status === 'True') return { reason: stalled.reason, message: `overlay "${name}": ${stalled.message}` }
  const ready = conditionOf(overlay.status.conditions, 'Ready')
  const hasClaim = overlay.status.claim?.uid !== undefined && ready?.reason !== 'ClaimNotFound'
  if (hasClaim) return undefined
  return ready?.status === 'False'
    ? { reason: ready.reason, message: `overlay "${name}": ${ready.message}` }
    : claimPending(name)
}

/** Image and overlays together: the user mends both at once. */
export const gather = (context: Context, { metadata: { namespace }, spec }: Instance): Ingredients => {
  const { caches } = context
  const image = caches.images.get({ namespace, name: spec.imageRef.name })
  const uses = spec.overlays.map((use) => ({ use, overlay: caches.overlays.get({ namespace, name: use.name }) }))
  const troubles = uses.flatMap(
    ({ use, overlay }) => overlayTrouble(context, overlay, { namespace, name: use.name }) ?? [],
  )
  const trouble = imageTrouble(spec.imageRef.name, image, namespace)
  const overlays = uses.flatMap(({ overlay }) => overlay ?? [])
  const [written] = uses.flatMap(({ use, overlay }) =>
    overlay && use.access === 'ReadWrite' ? [{ use, overlay }] : [],
  )
  const chosen = chooseImage(image, written)
  if (!chosen || troubles.length > 0) return { kind: 'missing', image: trouble, overlays: troubles[0] }
  return { kind: 'complete', image, imageTrouble: trouble, chosen, overlays }
}

/** Compressed; what takes longer than a start should to fetch and convert. */
const largeImage = 512 * 2 ** 20

/** A server need not say how large its file is. */
const isLarge = ({ reference, sizeBytes }: NonNullable<ContainerImage['status']['resolved']>): boolean =>
  sizeBytes >= largeImage || (sizeBytes === 0 && imageSourceOf(reference) === 'https')

const isMade = ({ status }: PersistentOverlay): boolean => status.usage !== undefined

const isUnhealthy = ({ status }: PersistentOverlay): boolean =>
  conditionOf(status.conditions, 'Healthy')?.status === 'False'

/** Whether the pod needs the init container: something long may have to be done before its start. */
const needsPrepare = (
  { caches }: Context,
  { spec }: Instance,
  { image, chosen, overlays }: Extract<Ingredients, { kind: 'complete' }>,
): boolean => {
  const written = overlays.find((_, index) => spec.overlays[index]?.access === 'ReadWrite')
  if (!overlays.every(isMade) || (written && (mustGrow(written) || isUnhealthy(written)))) return true
  if (image?.status.resolved === undefined || !isLarge(image.status.resolved)) return false
  const onSomeNode = caches.instances
    .list()
    .filter(({ status }) => status.image?.digest === chosen.base.digest)
    .some(({ metadata }) => {
      const pod = caches.pods.get(metadata)
      return pod !== undefined && isRunning(pod)
    })
  return !onSomeNode
}

export const partsOf = (
  context: Context,
  instance: Instance,
  ingredients: Extract<Ingredients, { kind: 'complete' }>,
): PodParts => ({
  instance,
  pullSecrets: pullSecretsFor(ingredients.image, ingredients.chosen),
  chosen: ingredients.chosen.base,
  overlays: ingredients.overlays.map((overlay) => ({ overlay, claimName: claimNameOf(overlay) })),
  placeholderImage: context.settings.placeholderImage,
  prepare: needsPrepare(context, instance, ingredients),
})

const grantOf = (pod: Pod, { instance, chosen, overlays }: PodParts): Grant => {
  const { nodeName } = pod.spec ?? {}
  return {
    pod: {
      name: pod.metadata.name,
      uid: pod.metadata.uid,
      ...(nodeName ? { nodeName } : {}),
      templateHash: pod.metadata.annotations[annotations.templateHash] ?? '',
    },
    image: { reference: chosen.reference, digest: chosen.digest },
    overlays: instance.spec.overlays.map(({ name, access }, index) => ({
      name,
      access,
      uid: overlays[index]?.overlay.metadata.uid ?? '',
    })),
  }
}

/**
 * What the node may mount for this pod; to be written before it does. An overlay
 * that follows its image lies upon that from here on.
 */
export const grantTo = async (context: Context, pod: Pod, parts: PodParts): Promise<Grant> => {
  await followImage(context, parts)
  return grantOf(pod, parts)
}

const nodesIn =
  ({ caches }: Context, { metadata: { namespace } }: Instance) =>
  (name: string): string | undefined =>
    caches.pods.get({ namespace, name })?.spec?.nodeName

export type Preparation = { kind: 'claimed'; parts: PodParts } | { kind: 'blocked'; finding: Finding }

/** Gathers and claims all that the instance's pod is made from. */
export const claimAll = async (context: Context, instance: Instance): Promise<Preparation> => {
  const wanted = gather(context, instance)
  if (wanted.kind === 'missing') return { kind: 'blocked', finding: { ...wanted, kind: 'blocked' } }
  const allocation = await claimOverlays(context, instance, wanted.chosen.base)
  // As the claim has left them: somebody else may have told an overlay's base before it was ours.
  const claimed = gather(context, instance)
  if (claimed.kind === 'missing') return { kind: 'blocked', finding: { ...claimed, kind: 'blocked' } }
  if (allocation.kind === 'granted') return { kind: 'claimed', parts: partsOf(context, instance, claimed) }
  const overlays =
    allocation.kind === 'unready' ? claimPending(allocation.overlay) : blockedBy(allocation, nodesIn(context, instance))
  return { kind: 'blocked', finding: { kind: 'blocked', overlays } }
}

/** What another pod of the instance would wait for, were this one ended now. */
export const wouldWaitFor = (context: Context, instance: Instance): string | undefined => {
  const obstacle = obstacleOf(context, instance)
  return obstacle && blockedBy(obstacle, nodesIn(context, instance)).message
}

/** The API server does not take the pod: quota, pod security, a policy, a field that is wrong. */
export class PodRefusedError extends Error {
  override name = 'PodRefusedError'
  /** The pod is wrong as it is, whatever else changes. */
  readonly isInvalid: boolean
  constructor(cause: ApiError) {
    super(`the API server does not take the pod that the spec makes: ${cause.words}`, { cause })
    this.isInvalid = hasReason(cause, 'Invalid', 'BadRequest')
  }
}

const isRefusal = (error: unknown): error is ApiError =>
  error instanceof ApiError && hasReason(error, 'Forbidden', 'Invalid', 'NotFound', 'BadRequest')

/**
 * Whether the API server still does not take the pod. Asked before anything is
 * claimed for it: those who wait for an overlay would be told that it is in use.
 */
export const refusalNow = async (context: Context, instance: Instance): Promise<PodRefusedError | undefined> => {
  const ingredients = gather(context, instance)
  if (ingredients.kind === 'missing') return undefined
  const pod = podOf(partsOf(context, instance, ingredients))
  try {
    await context.client.create(pods, pod, instance.metadata.namespace, { dryRun: true })
  } catch (error) {
    if (isRefusal(error)) return new PodRefusedError(error)
    if (!hasReason(error, 'AlreadyExists')) throw error
  }
  return undefined
}

/**
 * The new pod, or the one that has the name already, whoever made it.
 *
 * @throws PodRefusedError
 */
export const createPod = async ({ client, caches }: Context, parts: PodParts): Promise<Pod> => {
  const { namespace, name } = parts.instance.metadata
  try {
    const pod = await client.create(pods, podOf(parts), namespace)
    caches.pods.note(pod)
    return pod
  } catch (cause) {
    const existing = await client.get(pods, { namespace, name })
    if (existing) return existing
    if (!isRefusal(cause)) throw cause
    throw new PodRefusedError(cause)
  }
}

export const hashOf = ({ metadata }: Pod): string | undefined => metadata.annotations[annotations.templateHash]

/** Whether the pod was made from what one would be made from now. */
export const isAsSpecified = (hash: string | undefined, parts: PodParts): boolean => templateHash(parts) === hash
