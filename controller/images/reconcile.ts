import type { ContainerImage, ContainerImageStatus } from '../../crds/container-image.ts'
import { createAttempts } from '../../kube/attempts.ts'
import { apiVersion } from '../../kube/names.ts'
import { parseKey } from '../../kube/resource.ts'
import { containerImages } from '../../kube/resources.ts'
import { announce } from '../announce.ts'
import { conditionOf } from '../conditions.ts'
import type { Context, Result } from '../context.ts'
import { soonest } from '../soonest.ts'
import { writeStatus } from '../write-status.ts'
import { ensurePrefetch } from './ensure-prefetch.ts'
import { createGate, type Looking, look } from './look.ts'
import type { PrefetchFinding } from './prefetch.ts'
import { createRefreshSchedule, isFailure } from './refresh.ts'
import { find, refusalOf } from './resolve.ts'
import { statusAfter } from './status.ts'
import { createUntold } from './untold.ts'

/** Nothing tells when a thing of another's goes. */
const lookAgainMs = 60_000

/** Images that are looked up again, of the four that are worked on at a time. */
const refreshesAtOnce = 2

const lookAgainAfter = ({ kind }: PrefetchFinding): number | undefined => (kind === 'refused' ? lookAgainMs : undefined)

/** A refresh that fails leaves the image Ready: it has an Event of its own. */
const announceFailure = ({ events }: Context, { metadata, status }: ContainerImage, after: ContainerImageStatus) => {
  const was = conditionOf(status.conditions, 'Refreshed')
  const is = conditionOf(after.conditions, 'Refreshed')
  if (!is || !isFailure(is) || was?.reason === is.reason) return
  events.event({ apiVersion, kind: 'ContainerImage', metadata }, 'Warning', is.reason, is.message)
}

/** The image's digest and configuration, and what is asked to fetch it beforehand. */
export const createImageReconciler = (context: Context): ((key: string) => Promise<Result>) => {
  const { caches, client, clock, events } = context
  const looking: Looking = {
    find: (image) => find(context, image),
    refusalOf: (image) => refusalOf(context, image),
    attempts: createAttempts(clock),
    schedule: createRefreshSchedule(clock),
    untold: createUntold(clock),
    refreshing: createGate(refreshesAtOnce),
  }
  return async (key) => {
    const image = caches.images.get(parseKey(key))
    if (!image) {
      looking.schedule.forget(key)
      looking.untold.forget(key)
    }
    if (!image || image.metadata.deletionTimestamp) return {}
    const { finding, refresh, requeueAfterMs } = await look(looking, image)
    if (!finding) return soonest(requeueAfterMs)
    const prefetch = await ensurePrefetch(context, image, finding)
    const before = image.status
    const after = statusAfter(image, { finding, refresh, prefetch }, clock.now())
    caches.images.note(await writeStatus(client, containerImages, image, { before, after }))
    looking.untold.forget(key)
    announce(events, { kind: 'ContainerImage', metadata: image.metadata }, before.conditions, after.conditions)
    announceFailure(context, image, after)
    return soonest(requeueAfterMs, lookAgainAfter(prefetch))
  }
}
