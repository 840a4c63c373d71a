import { isDeepStrictEqual } from 'node:util'
import type { Condition } from '../crds/common.ts'
import { isAbsent } from '../kube/api-error.ts'
import type { KubeClient } from '../kube/client.ts'
import type { KubeObject, Resource } from '../kube/resource.ts'

/** The controller's name in `metadata.managedFields`: server-side apply keeps the agent's fields apart. */
export const fieldManager = 'lamina-controller'

interface Status {
  conditions?: Condition[] | undefined
}

/** As JSON has it, with the conditions in one order: the API server merges them into an order of its own. */
const normalized = ({ conditions = [], ...rest }: Status): unknown =>
  JSON.parse(JSON.stringify({ ...rest, conditions: conditions.toSorted((a, b) => (a.type < b.type ? -1 : 1)) }))

/** Whether a write would change nothing. */
export const saysTheSame = (before: Status, after: Status): boolean =>
  isDeepStrictEqual(normalized(before), normalized(after))

/** The object was deleted while a pass went over it: what comes of that is for the pass that its deletion calls for. */
export class ObjectGoneError extends Error {
  override readonly name = 'ObjectGoneError'
}

/**
 * Writes the status that a pass came to, unless it says nothing new. The
 * object's resourceVersion is the precondition: a stale pass changes nothing.
 *
 * @param before what the object has of the fields that are the controller's
 * @returns the object as it is then
 * @throws ApiError with reason Conflict when somebody wrote in between
 * @throws ObjectGoneError
 */
export const writeStatus = async <T extends KubeObject>(
  client: Pick<KubeClient, 'apply'>,
  resource: Resource<T>,
  object: T,
  { before, after }: { before: Status; after: Status },
): Promise<T> => {
  if (saysTheSame(before, after)) return object
  const { name, namespace, resourceVersion } = object.metadata
  const body = { metadata: { name, namespace, resourceVersion }, status: after }
  try {
    return await client.apply(resource, body, { fieldManager, subresource: 'status' })
  } catch (cause) {
    if (!isAbsent(cause)) throw cause
    throw new ObjectGoneError(`${resource.kind} ${namespace}/${name} is gone`, { cause })
  }
}
