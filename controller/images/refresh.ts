import { createHash } from 'node:crypto'
import type { Condition } from '../../crds/common.ts'
import type { ContainerImage, ContainerImageStatus } from '../../crds/container-image.ts'
import type { Clock } from '../../kube/clock.ts'
import { annotations } from '../../kube/names.ts'
import { keyOf } from '../../kube/resource.ts'
import { parseReference } from '../../runtime-shim/image/reference.ts'
import { type ConditionVerdict, conditionOf, verdict } from '../conditions.ts'
import type { Finding } from './resolve.ts'

/** What a pass did about an image that was resolved before. */
export type Refresh =
  /** It was looked up, now or for the first time. */
  | { kind: 'looked' }
  /** It could not be looked up: what was found before stays. */
  | { kind: 'failed'; reason: string; message: string }
  | { kind: 'notDue' }

const defaultPeriodSeconds = 3600
/** After a failure it is looked up at least so often. */
const retryMs = 600_000

const isTag = (reference: string): boolean => parseReference(reference)?.digest === undefined

/** Whether the source can come to stand for another image: a tag moves; a digest, and a file whose sum is given, do not. */
export const isMovable = ({ source: { registry, file } }: ContainerImage['spec']): boolean => {
  if (registry) return isTag(registry.image)
  return (
    file?.url.startsWith('oras://') === true && file.sha256 === undefined && isTag(file.url.slice('oras://'.length))
  )
}

/** Reasons of `Refreshed=False` that tell of no failure. */
const quiet = new Set(['NotAsked', 'NotResolved'])

/** Whether the condition Refreshed tells of a look that failed. */
export const isFailure = ({ status, reason }: Condition): boolean => status === 'False' && !quiet.has(reason)

const failureOf = ({ status }: ContainerImage): Condition | undefined => {
  const refreshed = conditionOf(status.conditions, 'Refreshed')
  return refreshed && isFailure(refreshed) ? refreshed : undefined
}

const longestToken = 256

/** The token of a request for a look. */
export const requestOf = ({ metadata }: ContainerImage): string | undefined =>
  metadata.annotations[annotations.refreshRequested]?.slice(0, longestToken)

/** Whether somebody has asked for a look since the last one that was asked for. */
export const isRequested = (image: ContainerImage): boolean => {
  const request = requestOf(image)
  return request !== undefined && request !== image.status.handledRefreshRequest
}

const periodMs = (image: ContainerImage): number | undefined => {
  const { policy, periodSeconds = defaultPeriodSeconds } = image.spec.refresh ?? {}
  const asked = policy === 'Interval' ? periodSeconds * 1000 : undefined
  return failureOf(image) ? Math.min(asked ?? retryMs, retryMs) : asked
}

/** Where in the period an image has its turn: the same always, and another for each image. */
const turnOf = (uid: string, period: number): number =>
  Math.floor((createHash('sha256').update(uid).digest().readUInt32BE() / 2 ** 32) * period)

/** The image's first turn after a time; in milliseconds since 1970. */
export const nextTurn = (uid: string, period: number, after: number): number => {
  const turn = turnOf(uid, period)
  return (Math.floor((after - turn) / period) + 1) * period + turn
}

/**
 * When images are looked up again. Turns come from the clock and the image's uid
 * alone: nothing is written down, thousands of images are spread over their
 * period, and a leader that begins has nothing to catch up with.
 */
export interface RefreshSchedule {
  /** Milliseconds until it is to be looked up again, 0 when it is time; undefined when it never is. */
  dueInMs(image: ContainerImage): number | undefined
  /** Notes that it was looked up now; the answer is when it has its next turn, as of `dueInMs`. */
  note(image: ContainerImage): number | undefined
  /** Of an image that is gone. */
  forget(key: string): void
}

export const createRefreshSchedule = (clock: Pick<Clock, 'now'>): RefreshSchedule => {
  const begun = clock.now().getTime()
  const looks = new Map<string, { uid: string; at: number }>()
  const lastLook = (image: ContainerImage): number => {
    const last = looks.get(keyOf(image))
    return last?.uid === image.metadata.uid ? last.at : begun
  }
  const turnInMs = (image: ContainerImage): number | undefined => {
    const period = isMovable(image.spec) ? periodMs(image) : undefined
    if (period === undefined) return undefined
    return Math.max(0, nextTurn(image.metadata.uid, period, lastLook(image)) - clock.now().getTime())
  }
  return {
    dueInMs: (image) => (isMovable(image.spec) && isRequested(image) ? 0 : turnInMs(image)),
    note: (image) => {
      looks.set(keyOf(image), { uid: image.metadata.uid, at: clock.now().getTime() })
      return turnInMs(image)
    },
    forget: (key) => {
      looks.delete(key)
    },
  }
}

export const refreshedVerdict = (image: ContainerImage, finding: Finding, refresh: Refresh): ConditionVerdict => {
  const of = (status: 'True' | 'False', reason: string, message = '') => verdict('Refreshed', status, reason, message)
  if (finding.kind !== 'resolved') return of('False', 'NotResolved')
  if (refresh.kind === 'failed') {
    const kept = `the digest found at ${finding.resolved.resolveTime} stays: ${refresh.message}`
    return of('False', refresh.reason, kept)
  }
  const failure = refresh.kind === 'notDue' ? failureOf(image) : undefined
  if (failure) return of('False', failure.reason, failure.message)
  if (image.spec.refresh?.policy !== 'Interval') return of('False', 'NotAsked')
  if (!isMovable(image.spec)) return of('True', 'Pinned', 'the source always stands for the same image')
  const { periodSeconds = defaultPeriodSeconds } = image.spec.refresh
  return of('True', 'LookedUp', `the tag is looked up every ${periodSeconds} s`)
}

/** The request that has been met by now. */
export const handledRequest = (
  image: ContainerImage,
  refresh: Refresh,
): Pick<ContainerImageStatus, 'handledRefreshRequest'> => {
  const met = refresh.kind !== 'notDue' || !isMovable(image.spec)
  const request = (met ? requestOf(image) : undefined) ?? image.status.handledRefreshRequest
  return request === undefined ? {} : { handledRefreshRequest: request }
}
