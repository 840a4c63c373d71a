import type { ContainerImage } from '../../crds/container-image.ts'
import type { Attempts } from '../../kube/attempts.ts'
import { conditionOf } from '../conditions.ts'
import { isRequested, type Refresh, type RefreshSchedule } from './refresh.ts'
import type { Finding } from './resolve.ts'
import { sourceHashOf } from './source-hash.ts'
import type { Untold } from './untold.ts'

/** Quick for a slip of the pen, kind to a registry. */
const retryPace = { firstMs: 2_000, longestMs: 30_000 }

/** A signature is often made some moments after the image, and perhaps never. */
const refusedPace = { firstMs: 15_000, longestMs: 600_000 }

/** Nothing tells when a claim that is not ours is made again. */
const lookAgainMs = 60_000

/** When a look that found no place is tried again. */
const busyMs = 2_000

/** Lets in so many at a time. */
export interface Gate {
  /** Undefined when there is no place. */
  tryRun<T>(act: () => Promise<T>): Promise<T | undefined>
}

export const createGate = (most: number): Gate => {
  let running = 0
  return {
    tryRun: async (act) => {
      if (running >= most) return undefined
      running += 1
      try {
        return await act()
      } finally {
        running -= 1
      }
    },
  }
}

export interface Looking {
  /** Asks the registry, the web server or the API server. */
  find(image: ContainerImage): Promise<Finding>
  /** Why it may not come from there at all. */
  refusalOf(image: ContainerImage): Finding | undefined
  attempts: Attempts
  schedule: RefreshSchedule
  untold: Untold
  /** A registry that does not answer may not take the places of images that nobody has looked up yet. */
  refreshing: Gate
}

export interface Looked {
  /** Undefined while it is too early to ask again: what was told stays. */
  finding: Finding | undefined
  refresh: Refresh
  requeueAfterMs?: number | undefined
}

/** By an operator before: it looked up every generation. */
const isOfGeneration = ({ metadata, status }: ContainerImage): boolean =>
  status.observedGeneration === metadata.generation && conditionOf(status.conditions, 'Ready')?.status === 'True'

/** What was found for this source and holds, whatever else the spec asks now, and whether or not a registry answers. */
export const settled = (image: ContainerImage): Extract<Finding, { kind: 'resolved' }> | undefined => {
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

const notDue: Refresh = { kind: 'notDue' }

/** Tag → digest and configuration, for the first time of this source. */
const resolve = async ({ find, attempts }: Looking, image: ContainerImage): Promise<Looked> => {
  const tries = `${image.metadata.uid}/${image.metadata.generation}`
  const remaining = isRequested(image) ? 0 : attempts.remainingMs(tries)
  if (remaining > 0) return { finding: undefined, refresh: notDue, requeueAfterMs: remaining }
  const finding = withTimeOf(await find(image), image)
  const refresh: Refresh = { kind: 'looked' }
  if (finding.kind !== 'resolved') {
    const { waitMs } = attempts.next(tries, finding.kind === 'failed' ? retryPace : refusedPace)
    return { finding, refresh, requeueAfterMs: waitMs }
  }
  attempts.forget(tries)
  return { finding, refresh, ...(image.spec.source.volume ? { requeueAfterMs: lookAgainMs } : {}) }
}

/** What was found before, or what a tag has come to stand for since. A failure takes nothing back. */
const lookAgain = async (
  { find, schedule, refreshing }: Looking,
  image: ContainerImage,
  known: Extract<Finding, { kind: 'resolved' }>,
): Promise<Looked> => {
  const dueInMs = schedule.dueInMs(image)
  if (dueInMs === undefined) return { finding: known, refresh: notDue }
  if (dueInMs > 0) return { finding: known, refresh: notDue, requeueAfterMs: dueInMs }
  const found = await refreshing.tryRun(() => find(image))
  if (!found) return { finding: known, refresh: notDue, requeueAfterMs: busyMs }
  return found.kind === 'resolved'
    ? { finding: withTimeOf(found, image), refresh: { kind: 'looked' } }
    : { finding: known, refresh: { ...found, kind: 'failed' } }
}

/** What the source stands for, looked up once, and again when it is time or somebody asks. */
export const look = async (looking: Looking, image: ContainerImage): Promise<Looked> => {
  const { schedule, untold } = looking
  const refused = looking.refusalOf(image)
  if (refused) return { finding: refused, refresh: notDue }
  const before = untold.of(image)
  if (before) return before
  const known = settled(image)
  const looked = await (known ? lookAgain(looking, image, known) : resolve(looking, image))
  if (looked.refresh.kind === 'notDue') return looked
  // An unchanged image brings no event that would call for another pass.
  const whole = { requeueAfterMs: schedule.note(image), ...looked }
  untold.note(image, whole)
  return whole
}
