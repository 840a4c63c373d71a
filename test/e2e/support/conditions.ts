import * as z from 'zod'
import type { KubeObject } from './kubectl.ts'

const conditionSchema = z.object({
  type: z.string(),
  status: z.enum(['True', 'False', 'Unknown']),
  reason: z.string().default(''),
  message: z.string().default(''),
  observedGeneration: z.number().optional(),
})
export type Condition = z.infer<typeof conditionSchema>

const statusSchema = z.object({ conditions: z.array(conditionSchema).default([]) })

/** The condition of that type; a made-up `Unknown` without reason when there is none yet. */
export const conditionOf = (object: KubeObject, type: string): Condition =>
  statusSchema.parse(object.status ?? {}).conditions.find((condition) => condition.type === type) ?? {
    type,
    status: 'Unknown',
    reason: '',
    message: '',
  }

/** kstatus' reading of "as the spec asks": observed, and Ready. */
export const isReady = (object: KubeObject): boolean =>
  object.status?.observedGeneration === object.metadata.generation && conditionOf(object, 'Ready').status === 'True'

/** One line a condition, for the message of a test that waited in vain. */
export const describeConditions = (object: KubeObject): string =>
  statusSchema
    .parse(object.status ?? {})
    .conditions.map(({ type, status, reason, message }) => `  ${type}=${status} ${reason}: ${message}`)
    .join('\n')
