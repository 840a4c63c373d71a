import type { DeploymentCondition } from '../../kube/deployments.ts'
import { guardedCondition } from '../../kube/names.ts'

/** What the controller's own Deployment, which stands for the installation, says of it: no kind of ours does. */

export type Finding = Pick<DeploymentCondition, 'status' | 'reason' | 'message'>

const more = 'docs/security.md says what is open without them'

/** @param missing undefined when the policies cannot be read */
export const findingOf = (missing: readonly string[] | undefined, expected: number): Finding => {
  if (missing === undefined) {
    const message = `the controller cannot read the admission policies (its log says why), so nobody knows whether they are in force: ${more}`
    return { status: 'Unknown', reason: 'PoliciesUnreadable', message }
  }
  if (missing.length === 0) {
    return { status: 'True', reason: 'PoliciesInForce', message: `all ${expected} admission policies are in force` }
  }
  const message = `admission policies that are missing, or do not deny: ${missing.join(', ')}. Delete what is left of them, and helm upgrade brings them back; ${more}`
  return { status: 'False', reason: 'PoliciesMissing', message }
}

/** The condition to be written, or undefined when it stands there already. */
export const changedCondition = (
  before: DeploymentCondition | undefined,
  finding: Finding,
  now: string,
): DeploymentCondition | undefined => {
  const { status, reason, message } = finding
  if (before?.status === status && before.reason === reason && before.message === message) return undefined
  const lastTransitionTime = before?.status === status ? before.lastTransitionTime : now
  return { type: guardedCondition, ...finding, lastTransitionTime, lastUpdateTime: now }
}
