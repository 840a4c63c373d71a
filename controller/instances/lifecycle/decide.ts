import { deadline } from './deadline.ts'
import { expiry } from './expiry.ts'
import { idle } from './idle.ts'
import type { Decision, Policy, Situation } from './policy.ts'
import { isStartRequested } from './start-request.ts'
import { well } from './well.ts'

const stoppedAsAsked: Policy = ({ instance: { spec } }) =>
  spec.state === 'Stopped' ? { decision: { kind: 'rest', rest: { reason: 'Stopped', message: '' } } } : {}

/** In this order: the first that decides has the word. */
const policies: readonly Policy[] = [stoppedAsAsked, expiry, deadline, idle, well]

/** What the policies come to together. */
interface Lifecycle {
  decision: Decision
  /** When the first of them may decide otherwise although nothing changes, in ms since 1970. */
  reviewAtMs?: number | undefined
}

/** A request to start overrules everything but the spec. */
export const decide = (situation: Situation): Lifecycle => {
  const asked = isStartRequested(situation.instance) ? [stoppedAsAsked] : policies
  const rulings = asked.map((policy) => policy(situation))
  const decision = rulings.find((ruling) => ruling.decision !== undefined)?.decision ?? { kind: 'run' as const }
  const reviews = rulings.flatMap(({ reviewAtMs }) => reviewAtMs ?? [])
  return { decision, reviewAtMs: reviews.length > 0 ? Math.min(...reviews) : undefined }
}
