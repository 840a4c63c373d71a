import type { ContainerImage } from '../../crds/container-image.ts'
import type { Attempts } from '../../kube/attempts.ts'
import { parseKey } from '../../kube/resource.ts'
import { containerImages } from '../../kube/resources.ts'
import { announce } from '../announce.ts'
import { conditionOf } from '../conditions.ts'
import type { Context, Result } from '../context.ts'
import { writeStatus } from '../write-status.ts'
import { ensurePrefetch } from './ensure-prefetch.ts'
import type { PrefetchFinding } from './prefetch.ts'
import { type Finding, find, refusalOf } from './resolve.ts'
import { sourceHashOf } from './source-hash.ts'
import { statusAfter } from './status.ts'

/** Quick for a slip of the pen, kind to a registry. */
const retryPace = { firstMs: 2_000, longestMs: 30_000 }

/** Nothing tells when a claim that is not ours is made again, or when a thing of another's goes. */
const lookAgainMs = 60_000

/** By an operator before: it looked up every generation. */
const isOfGeneration = ({ metadata, status }: ContainerImage): boolean =>
  status.observedGeneration === metadata.generation && conditionOf(status.conditions, 'Ready')?.status === 'True'

/** What was found for this source and holds, whatever else the spec asks now, and whether or not a registry answers. */
export const settled = (image: ContainerImage): Finding | undefined => {
  const { spec, status } = image
  // A volume's image is known by its claim, of which no watch tells.
  if (!status.resolved || spec.source.volume) return undefined
  const sourceHash = sourceHashOf(spec)
  const { sourceHash: before } = status.resolved
  const holds = before === undefined ? isOfGeneration(image) : before === sourceHash
  return holds ? { kind: 'resolved', resolved: { ...status.resolved, sourceHash } } : undefined
}

/** The same as before is not news. */
const withTimeOf = (finding: Finding, { status: { resolved: before } }: ContainerImage): Finding =>
  finding.kind === 'resolved' && before?.reference === finding.resolved.reference
    ? { kind: 'resolved', resolved: { ...finding.resolved, resolveTime: before.resolveTime } }
    : finding

interface Looked extends Result {
  /** Undefined while it is too early to ask again: what was told stays. */
  finding: Finding | undefined
}

/** Tag → digest and configuration, once for each source. */
const look = async (context: Context, image: ContainerImage, attempts: Attempts): Promise<Looked> => {
  const known = refusalOf(context, image) ?? settled(image)
  if (known) return { finding: known }
  const tries = `${image.metadata.uid}/${image.metadata.generation}`
  const remaining = attempts.remainingMs(tries)
  if (remaining > 0) return { finding: undefined, requeueAfterMs: remaining }
  const finding = withTimeOf(await find(context, image), image)
  if (finding.kind !== 'resolved') return { finding, requeueAfterMs: attempts.next(tries, retryPace).waitMs }
  attempts.forget(tries)
  return { finding, ...(image.spec.source.volume ? { requeueAfterMs: lookAgainMs } : {}) }
}

const requeue = ({ requeueAfterMs }: Result, { kind }: PrefetchFinding): Result => {
  const times = [requeueAfterMs, kind === 'refused' ? lookAgainMs : undefined].filter((time) => time !== undefined)
  return times.length > 0 ? { requeueAfterMs: Math.min(...times) } : {}
}

/** The image's digest and configuration, and what is asked to fetch it beforehand. */
export const createImageReconciler =
  (context: Context, attempts: Attempts) =>
  async (key: string): Promise<Result> => {
    const { caches, client, clock, events } = context
    const image = caches.images.get(parseKey(key))
    if (!image || image.metadata.deletionTimestamp) return {}
    const { finding, ...result } = await look(context, image, attempts)
    if (!finding) return result
    const prefetch = await ensurePrefetch(context, image, finding)
    const before = image.status
    const after = statusAfter(image, { finding, prefetch }, clock.now())
    caches.images.note(await writeStatus(client, containerImages, image, { before, after }))
    announce(events, { kind: 'ContainerImage', metadata: image.metadata }, before.conditions, after.conditions)
    return requeue(result, prefetch)
  }
