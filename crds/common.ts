import { z } from 'zod'

/** What the three kinds share. The schemas are the only definition: types, CRDs, reference and validation come from them. */

export const conditionSchema = z.object({
  type: z.string().max(316),
  status: z.enum(['True', 'False', 'Unknown']),
  observedGeneration: z.int().min(0).optional(),
  lastTransitionTime: z.string().meta({ format: 'date-time' }),
  reason: z.string().min(1).max(1024),
  message: z.string().max(32_768),
})
export type Condition = z.infer<typeof conditionSchema>

export const conditionsField = z
  .array(conditionSchema)
  .max(16)
  .optional()
  .meta({
    listMapKey: 'type',
    description: 'What is true of the object now, as the Kubernetes API conventions have it.',
  })

export const observedGenerationField = z
  .int()
  .optional()
  .meta({ description: 'The generation that this status describes; -1 before the first.' })

export const platformSchema = z.object({
  os: z.string().max(64).meta({ description: 'Operating system, as OCI names it.' }),
  architecture: z.string().max(64).meta({ description: 'Processor architecture, as OCI names it: amd64, arm64.' }),
  variant: z.string().max(64).optional().meta({ description: 'Variant of the architecture: v8.' }),
})
export type Platform = z.infer<typeof platformSchema>

export const imageConfigSchema = z.object({
  entrypoint: z.array(z.string().max(32_768)).max(512).optional(),
  cmd: z.array(z.string().max(32_768)).max(512).optional(),
  env: z.array(z.string().max(32_768)).max(512).optional(),
  user: z.string().max(1024).optional(),
  workingDir: z.string().max(4096).optional(),
})
export type ImageConfig = z.infer<typeof imageConfigSchema>

/** Metadata as the API server hands it out; what the parts need of it. */
export const metadataSchema = z.looseObject({
  name: z.string(),
  namespace: z.string(),
  uid: z.string(),
  resourceVersion: z.string(),
  generation: z.number().default(0),
  creationTimestamp: z.string().optional(),
  deletionTimestamp: z.string().optional(),
  labels: z.record(z.string(), z.string()).default({}),
  annotations: z.record(z.string(), z.string()).default({}),
})

export const objectName = z.string().min(1).max(253)

/** A CEL rule of `x-kubernetes-validations`. */
export interface Rule {
  rule: string
  message: string
}

export interface Column {
  name: string
  type: 'string' | 'integer' | 'date'
  jsonPath: string
  priority?: number
  description?: string
}

/** Everything that a CustomResourceDefinition says beyond its schema. */
export interface KindDefinition {
  kind: string
  plural: string
  singular: string
  shortName: string
  description: string
  spec: z.ZodObject
  status: z.ZodObject
  rules: Rule[]
  columns: Column[]
}

const conditionColumn = (name: string, type: string, field: string, priority?: number): Column => ({
  name,
  type: 'string',
  jsonPath: `.status.conditions[?(@.type=="${type}")].${field}`,
  ...(priority === undefined ? {} : { priority }),
})

export const readyColumn = conditionColumn('Ready', 'Ready', 'status')
export const reasonColumn = conditionColumn('Reason', 'Ready', 'reason')
export const messageColumn = conditionColumn('Message', 'Ready', 'message', 10)
export const runningColumn = conditionColumn('Running', 'Running', 'status')
export const healthyColumn = conditionColumn('Healthy', 'Healthy', 'status')
export const ageColumn: Column = { name: 'Age', type: 'date', jsonPath: '.metadata.creationTimestamp' }

export const labelNameRule = (longest: number): Rule => ({
  rule: `self.metadata.name.size() <= ${longest} && self.metadata.name.matches('^[a-z0-9]([-a-z0-9]*[a-z0-9])?$')`,
  message: `metadata.name must be a DNS label of at most ${longest} characters: lower-case letters, digits and "-"`,
})
