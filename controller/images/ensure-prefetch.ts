import type { ContainerImage } from '../../crds/container-image.ts'
import { ApiError, hasReason, type KubeClient } from '../../kube/client.ts'
import { prefetchName } from '../../kube/names.ts'
import type { Reflector } from '../../kube/reflector.ts'
import { keyOf } from '../../kube/resource.ts'
import { type DaemonSet, daemonSets, type Pod } from '../../kube/resources.ts'
import { isChildOf } from '../child.ts'
import type { Settings } from '../settings.ts'
import { fieldManager } from '../write-status.ts'
import { isAsDesired, type PrefetchFinding, prefetchOf } from './prefetch.ts'
import type { Finding, Resolved } from './resolve.ts'

interface PrefetchContext {
  client: Pick<KubeClient, 'get' | 'apply' | 'delete'>
  caches: {
    daemonSets: Pick<Reflector<DaemonSet>, 'get' | 'note'>
    /** By the key of their image. */
    prefetchPods: Pick<Reflector<Pod>, 'by'>
  }
  settings: Pick<Settings, 'placeholderImage'>
}

const observe = async (
  { client, caches }: PrefetchContext,
  { metadata: { namespace, name } }: ContainerImage,
): Promise<DaemonSet | undefined> => {
  const key = { namespace, name: prefetchName(name) }
  return caches.daemonSets.get(key) ?? (await client.get(daemonSets, key))
}

/** What the cache does not know yet comes by here again when it does. */
const remove = async ({ client, caches }: PrefetchContext, image: ContainerImage): Promise<void> => {
  const { namespace, name } = image.metadata
  const existing = caches.daemonSets.get({ namespace, name: prefetchName(name) })
  if (!existing || !isChildOf(existing, image)) return
  await client.delete(daemonSets, existing.metadata, { uid: existing.metadata.uid })
}

const podsOf = ({ prefetchPods }: PrefetchContext['caches'], image: ContainerImage): Pod[] =>
  prefetchPods.by('image', keyOf(image))

const bring = async (
  { client, caches, settings }: PrefetchContext,
  image: ContainerImage,
  resolved: Resolved,
  existing: DaemonSet | undefined,
): Promise<PrefetchFinding> => {
  const desired = prefetchOf(image, resolved, settings.placeholderImage)
  const pods = podsOf(caches, image)
  if (existing && isAsDesired(existing, desired)) return { kind: 'there', daemonSet: existing, pods }
  // Not another that has come to have its name since.
  const metadata = { ...desired.metadata, ...(existing ? { uid: existing.metadata.uid } : {}) }
  try {
    const daemonSet = await client.apply(daemonSets, { ...desired, metadata }, { fieldManager })
    caches.daemonSets.note(daemonSet)
    return { kind: 'there', daemonSet, pods }
  } catch (error) {
    if (!(error instanceof ApiError) || hasReason(error, 'Conflict')) throw error
    const message = `the API server does not take the DaemonSet ${desired.metadata.name}: ${error.words}`
    return { kind: 'refused', reason: 'PrefetchRefused', message }
  }
}

/**
 * The DaemonSet as the spec asks: made, brought to the image as it is resolved
 * now, or removed. While the image cannot be resolved, what is there stays.
 */
export const ensurePrefetch = async (
  context: PrefetchContext,
  image: ContainerImage,
  finding: Finding,
): Promise<PrefetchFinding> => {
  if (!image.spec.prefetch || finding.kind === 'notAllowed') {
    await remove(context, image)
    return image.spec.prefetch ? { kind: 'waiting', daemonSet: undefined, pods: [] } : { kind: 'none' }
  }
  const existing = await observe(context, image)
  if (existing && !isChildOf(existing, image)) {
    const message = `DaemonSet ${existing.metadata.name} is there and is not of this image: delete it`
    return { kind: 'refused', reason: 'PrefetchNameTaken', message }
  }
  if (finding.kind === 'failed' || finding.kind === 'unsuitable')
    return { kind: 'waiting', daemonSet: existing, pods: podsOf(context.caches, image) }
  return bring(context, image, finding.resolved, existing)
}
