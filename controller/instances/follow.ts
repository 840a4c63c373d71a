import type { PersistentOverlay } from '../../crds/persistent-overlay.ts'
import type { KubeClient } from '../../kube/client.ts'
import { apiVersion } from '../../kube/names.ts'
import type { Reflector } from '../../kube/reflector.ts'
import { persistentOverlays } from '../../kube/resources.ts'
import type { Context } from '../context.ts'
import { claimKeyOf } from '../overlays/claim.ts'
import { controllerStatus, withBase } from '../overlays/status.ts'
import { writeStatus } from '../write-status.ts'
import type { PodParts } from './pod.ts'

interface FollowContext extends Pick<Context, 'events' | 'serially'> {
  client: Pick<KubeClient, 'apply'>
  caches: { overlays: Pick<Reflector<PersistentOverlay>, 'get' | 'note'> }
}

/**
 * Writes into the overlay that is to follow (`base: Follow`) that it lies upon
 * the pod's image. Only when there is a pod: as long as none could be made, the
 * spec may be taken back, and the overlay has never left.
 *
 * @throws ApiError with reason Conflict when the overlay changed in between
 */
export const followImage = async (
  { client, caches, events, serially }: FollowContext,
  { instance, chosen }: Pick<PodParts, 'instance' | 'chosen'>,
): Promise<void> => {
  const { namespace, name: instanceName } = instance.metadata
  const use = instance.spec.overlays.find(({ access, base }) => access === 'ReadWrite' && base === 'Follow')
  if (!use) return
  const key = { namespace, name: use.name }
  const seen = caches.overlays.get(key)
  if (!seen) return
  await serially([claimKeyOf(seen)], async () => {
    const overlay = caches.overlays.get(key)
    const left = overlay?.status.base
    if (!overlay || !left || left.digest === chosen.digest) return
    const before = controllerStatus(overlay.status)
    const after = withBase(overlay, chosen)
    caches.overlays.note(await writeStatus(client, persistentOverlays, overlay, { before, after }))
    const message = `instance "${instanceName}" takes it from ${left.reference} to ${chosen.reference}`
    events.event(
      { apiVersion, kind: 'PersistentOverlay', metadata: overlay.metadata },
      'Normal',
      'BaseFollowed',
      message,
    )
  })
}
