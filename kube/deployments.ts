import * as z from 'zod'
import { objectMetadataSchema, type Resource } from './resource.ts'

/** Deployments, as far as the controller's own stands for the installation: its replicas, and what its conditions say. */

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
  spec: z.object({ replicas: z.number().default(1) }).prefault({}),
  status: z
    .object({ readyReplicas: z.number().default(0), conditions: z.array(conditionSchema).default([]) })
    .prefault({}),
})

export const deployments: Resource<z.infer<typeof deploymentSchema>> = {
  group: 'apps',
  version: 'v1',
  plural: 'deployments',
  kind: 'Deployment',
  namespaced: true,
  parse: (json) => deploymentSchema.parse(json),
}
