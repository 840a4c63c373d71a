import type { Instance } from '../../../crds/instance.ts'
import { ApiError, hasReason, type KubeClient } from '../../../kube/client.ts'
import type { Reflector } from '../../../kube/reflector.ts'
import { type Service, services } from '../../../kube/resources.ts'
import { isChildOf } from '../../child.ts'
import { fieldManager } from '../../write-status.ts'
import { isAsDesired, serviceOf } from './desired.ts'

interface ServiceContext {
  client: Pick<KubeClient, 'get' | 'apply' | 'delete'>
  /** Those that are an Instance's, by their label. */
  caches: { services: Pick<Reflector<Service>, 'get' | 'note'> }
}

/** How the Service of an instance stands. */
export type ServiceFinding =
  | { kind: 'there' }
  /** A Service that is not of this instance has the name: nothing tells when it goes. */
  | { kind: 'taken'; message: string }
  /** The API server does not take it now: a quota, a policy, a webhook that is down. The instance starts without it. */
  | { kind: 'refused'; message: string }
  /** It never will: a name that no Service may have. */
  | { kind: 'invalid'; message: string }

const refusalOf = (error: unknown, instance: Instance, existing: Service | undefined): ServiceFinding => {
  if (!(error instanceof ApiError)) throw error
  const { name } = instance.metadata
  // One of its own has gone or changed in between: the next pass sees it.
  if (hasReason(error, 'Conflict') && existing) throw error
  if (hasReason(error, 'Conflict')) return taken(instance)
  const kind = hasReason(error, 'Invalid') ? 'invalid' : 'refused'
  return { kind, message: `the API server does not take the Service ${name}: ${error.words}` }
}

const taken = ({ metadata: { name } }: Instance): ServiceFinding => ({
  kind: 'taken',
  message: `a Service ${name} that is not this instance's has its name: delete it, or leave out spec.service`,
})

/** What the cache does not know yet comes by here again when it does. */
const remove = async ({ client, caches }: ServiceContext, instance: Instance): Promise<void> => {
  const existing = caches.services.get(instance.metadata)
  if (!existing || !isChildOf(existing, instance)) return
  await client.delete(services, existing.metadata, { uid: existing.metadata.uid })
}

/**
 * The Service as the spec asks: made, changed or removed. It stays while the
 * instance is stopped, with its address. Only one of the instance's own is
 * touched: a new one is applied without force, so that one of a stranger's that
 * came at the same moment is a conflict, and an old one by its uid.
 */
export const ensureService = async (
  context: ServiceContext,
  instance: Instance,
): Promise<ServiceFinding | undefined> => {
  const { client, caches } = context
  const desired = serviceOf(instance)
  if (!desired) {
    await remove(context, instance)
    return undefined
  }
  const existing = caches.services.get(instance.metadata) ?? (await client.get(services, instance.metadata))
  if (existing && !isChildOf(existing, instance)) return taken(instance)
  if (existing && isAsDesired(existing, desired)) return { kind: 'there' }
  const metadata = { ...desired.metadata, ...(existing ? { uid: existing.metadata.uid } : {}) }
  try {
    const options = { fieldManager, force: existing !== undefined }
    caches.services.note(await client.apply(services, { ...desired, metadata }, options))
    return { kind: 'there' }
  } catch (error) {
    return refusalOf(error, instance, existing)
  }
}

/** When to look again, in ms, although nothing tells of a change. */
export const lookAgainMs = (service: ServiceFinding | undefined): number | undefined =>
  service?.kind === 'taken' || service?.kind === 'refused' ? 10_000 : undefined
