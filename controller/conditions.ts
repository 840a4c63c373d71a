import type { Condition } from '../crds/common.ts'
import { timestamp } from '../kube/clock.ts'
import { conditionOf } from '../kube/conditions.ts'

export { conditionOf }

/** What a pass says of one condition; times and generation are filled in by {@link mergeConditions}. */
export interface ConditionVerdict {
  type: string
  status: Condition['status']
  reason: string
  message: string
}

export const verdict = (type: string, status: Condition['status'], reason: string, message = ''): ConditionVerdict => ({
  type,
  status,
  reason,
  message,
})

/** The verdicts as conditions: the transition time stays while the status does. */
export const mergeConditions = (
  before: readonly Condition[] | undefined,
  verdicts: readonly ConditionVerdict[],
  { generation, now }: { generation: number; now: Date },
): Condition[] =>
  verdicts.map((each): Condition => {
    const previous = conditionOf(before, each.type)
    const lastTransitionTime = previous?.status === each.status ? previous.lastTransitionTime : timestamp(now)
    return { ...each, observedGeneration: generation, lastTransitionTime }
  })

/** Nothing has been said of it yet. */
export const isUntold = ({ status }: { status: { conditions?: readonly Condition[] | undefined } }): boolean =>
  (status.conditions ?? []).length === 0

/** How an object stands, in the three words that kstatus reads. */
export type Standing =
  | { kind: 'ready'; reason: string; message?: string }
  | { kind: 'progressing'; reason: string; message: string }
  | { kind: 'stalled'; reason: string; message: string }

/** Ready, Reconciling and Stalled, each always present (kstatus). */
export const standingConditions = ({ kind, reason, message = '' }: Standing): ConditionVerdict[] => {
  const flag = (type: string, on: boolean) =>
    verdict(type, on ? 'True' : 'False', on ? reason : 'None', on ? message : '')
  return [
    verdict('Ready', kind === 'ready' ? 'True' : 'False', reason, message),
    flag('Reconciling', kind === 'progressing'),
    flag('Stalled', kind === 'stalled'),
  ]
}
