import * as z from 'zod'
import { objectMetadataSchema, type Resource } from '../../kube/resource.ts'

/** What the controller's own Deployment, which stands for the installation, says of it: no kind of ours does. */

const conditionSchema = z.object({
  type: z.string(),
  status: z.enum(['True', 'False', 'Unknown']),
  reason: z.string().default(''),
  message: z.string().default(''),
  /** RFC 3339, as the next. */
  lastTransitionTime: z.string().default(''),
  lastUpdateTime: z.string().default(''),
})
export type DeploymentCondition = z.infer<typeof conditionSchema>

const deploymentSchema = z.object({
  metadata: objectMetadataSchema,
  status: z.object({ conditions: z.array(conditionSchema).default([]) }).prefault({}),
})

export const deployments: Resource<z.infer<typeof deploymentSchema>> = {
  group: 'apps',
  version: 'v1',
  plural: 'deployments',
  kind: 'Deployment',
  namespaced: true,
  parse: (json) => deploymentSchema.parse(json),
}

/** Whether the admission policies are in force. */
export const guardedCondition = 'lamina.dev/Guarded'

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
  const message = `admission policies that are missing, or do not deny: ${missing.join(', ')}. helm upgrade brings them back; ${more}`
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
