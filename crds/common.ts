import * as z from 'zod'
import { isDigest } from '../kube/digest.ts'

/** What the three kinds share. The schemas are the only definition: types, CRDs, reference and validation come from them. */

export const conditionSchema = z.object({
  type: z.string().max(316).meta({ description: 'What it is about: Ready, Reconciling, Stalled and others.' }),
  status: z.enum(['True', 'False', 'Unknown']).meta({ description: 'Whether it is so.' }),
  observedGeneration: z.int().min(0).optional().meta({ description: 'The generation that it describes.' }),
  lastTransitionTime: z.string().meta({ format: 'date-time', description: 'When the status last changed.' }),
  reason: z.string().min(1).max(1024).meta({ description: 'Why, in one word for programs.' }),
  message: z.string().max(32_768).meta({ description: 'Why, in words, with what to do next.' }),
})
export type Condition = z.infer<typeof conditionSchema>

export const conditionsField = z.array(conditionSchema).max(16).optional().meta({
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

export const digestField = (description: string) =>
  z
    .string()
    .max(256)
    .refine(isDigest)
    .meta({
      description,
      rules: [
        {
          rule: "self.matches('^(sha256:[a-f0-9]{64}|sha512:[a-f0-9]{128})$')",
          message: 'digest must be sha256: and 64 hexadecimal digits, or sha512: and 128, in lower case',
        },
      ],
    })

const words = (description: string) => z.array(z.string().max(32_768)).max(512).optional().meta({ description })

export const imageConfigSchema = z.object({
  entrypoint: words("The image's entrypoint."),
  cmd: words("The image's command: what follows the entrypoint."),
  env: words('Environment, as NAME=value.'),
  user: z
    .string()
    .max(1024)
    .optional()
    .meta({ description: 'User, and group after a colon, as names or numbers; root when left out.' }),
  workingDir: z.string().max(4096).optional().meta({ description: 'Working directory; / when left out.' }),
  stopSignal: z
    .string()
    .max(32)
    .optional()
    .meta({ description: 'What asks its process to end, as a name or a number; SIGTERM when left out.' }),
})
export type ImageConfig = z.infer<typeof imageConfigSchema>

export const objectName = z.string().min(1).max(253)

/** A CEL rule of `x-kubernetes-validations`. */
export interface Rule {
  rule: string
  message: string
  /** Which field is wrong, where the rule is one of the whole object. */
  fieldPath?: string
}

const labelPattern = '[a-z0-9]([-a-z0-9]*[a-z0-9])?'

/** Of a field that names an object of one of our kinds: nothing of another name can exist. */
export const nameOfOurs = (field: string, kind: string): Rule => ({
  rule: `self.matches('^${labelPattern}$')`,
  message: `${field} must be the name of a ${kind}: lower-case letters, digits and "-"`,
})

/** The same of Kubernetes' own kinds. */
export const nameOfObject = (field: string, kind: string): Rule => ({
  rule: `self.matches('^${labelPattern}(\\\\.${labelPattern})*$')`,
  message: `${field} must be the name of a ${kind}: lower-case letters, digits, "-" and "."`,
})

/** @param nameMeta rules of a Secret's name, where a user gives it */
export const pullSecretsField = (description: string, nameMeta: { rules?: Rule[] } = {}) =>
  z
    .array(z.object({ name: objectName.meta({ description: 'Name of the Secret.', ...nameMeta }) }))
    .max(8)
    .optional()
    .meta({ listMapKey: 'name', description })

/** CEL for a path in a volume that some file can have: a name takes at most 255 bytes. */
export const isPathInVolume =
  "self.matches('^[^/\\\\x00-\\\\x1f\\\\x7f]{1,255}(/[^/\\\\x00-\\\\x1f\\\\x7f]{1,255})*$') && !self.split('/').exists(part, part == '..' || part == '.')"

export const pathInVolumeMessage = (example: string): string =>
  `path is relative to the volume, has names between single slashes, and neither . nor .. nor control characters: ${example}`

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
  rule: `self.metadata.name.size() <= ${longest} && self.metadata.name.matches('^${labelPattern}$')`,
  message: `metadata.name must be a DNS label of at most ${longest} characters: lower-case letters, digits and "-"`,
})
