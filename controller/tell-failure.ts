import type { Condition } from '../crds/common.ts'
import { createAttempts } from '../kube/attempts.ts'
import { ApiError, hasReason, type KubeClient } from '../kube/client.ts'
import type { Clock } from '../kube/clock.ts'
import type { EventRecorder } from '../kube/events.ts'
import type { Reflector } from '../kube/reflector.ts'
import { type KubeObject, parseKey, type Resource } from '../kube/resource.ts'
import { announce } from './announce.ts'
import { conditionOf, mergeConditions, standingConditions } from './conditions.ts'
import type { Result } from './context.ts'
import { ObjectGoneError, writeStatus } from './write-status.ts'

/** Reason of an object whose passes fail for what nobody has words for: an API server that refuses, a fault of ours. */
const reconcileError = 'ReconcileError'

/** Failures in a row, about a second: what a moment mends is no news. */
const patience = 8
/** The words may differ each time, and a write calls for a pass: they are told no more often. */
const pace = { firstMs: 60_000, longestMs: 60_000 }
const mostCharacters = 512

interface Status {
  observedGeneration?: number | undefined
  conditions?: Condition[] | undefined
}

interface Subject<T extends KubeObject> {
  resource: Resource<T>
  cache: Pick<Reflector<T>, 'get' | 'note'>
  /** The part of the object's status that is the controller's to write. */
  statusOf(object: T): Status
}

const wordsOf = (error: unknown): string => {
  const words = error instanceof ApiError ? error.words : error instanceof Error ? error.message : String(error)
  return words.replaceAll(/\s+/g, ' ').slice(0, mostCharacters)
}

/**
 * What the last pass that came to an end said stays, but for how the object stands;
 * and that too where it is Stalled: others go by what nobody can use.
 */
export const statusAfterFailure = (
  before: Status,
  error: unknown,
  { generation, now }: { generation: number; now: Date },
) => {
  if (conditionOf(before.conditions, 'Stalled')?.status === 'True') return before
  const message = `the controller does not get through with it, and tries again: ${wordsOf(error)}`
  const verdicts = standingConditions({ kind: 'progressing', reason: reconcileError, message })
  const standing = mergeConditions(before.conditions, verdicts, { generation, now })
  const others = (before.conditions ?? []).filter(({ type }) => !verdicts.some((each) => each.type === type))
  return { ...before, observedGeneration: generation, conditions: [...standing, ...others] }
}

/**
 * The same reconciler, which tells of failures in the object's conditions when
 * they last: or it would say for ever what was true before. A conflict is none:
 * somebody else has written, and the next pass sees it. Nor is it one that the object is gone.
 */
export const tellingFailures = <T extends KubeObject>(
  {
    client,
    clock,
    events,
  }: { client: Pick<KubeClient, 'apply'>; clock: Pick<Clock, 'now' | 'monotonicMs'>; events: EventRecorder },
  { resource, cache, statusOf }: Subject<T>,
  reconcile: (key: string) => Promise<Result>,
): ((key: string) => Promise<Result>) => {
  const failures = new Map<string, number>()
  const told = createAttempts(clock)

  const tell = async (key: string, error: unknown): Promise<void> => {
    const object = cache.get(parseKey(key))
    if (!object || told.remainingMs(key) > 0) return
    const { metadata } = object
    const before = statusOf(object)
    const after = statusAfterFailure(before, error, { generation: metadata.generation, now: clock.now() })
    cache.note(await writeStatus(client, resource, object, { before, after }))
    told.next(key, pace)
    announce(events, { kind: resource.kind, metadata }, before.conditions, after.conditions)
  }

  return async (key) => {
    try {
      const result = await reconcile(key)
      failures.delete(key)
      told.forget(key)
      return result
    } catch (error) {
      if (error instanceof ObjectGoneError) return {}
      if (hasReason(error, 'Conflict')) throw error
      const count = (failures.get(key) ?? 0) + 1
      failures.set(key, count)
      // Whatever keeps this write away is likely what the pass failed of.
      if (count >= patience) await tell(key, error).catch(() => undefined)
      throw error
    }
  }
}
