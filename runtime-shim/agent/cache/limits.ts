import * as z from 'zod'
import { parseQuantity } from '../../../kube/quantity.ts'
import type { CacheLimits } from './policy.ts'

const percent = z.coerce.number().min(1).max(100)

/** Environment variables, from the chart's value `agent.cache`. */
export const cacheLimitFields = {
  /** A quantity (`20Gi`); empty for no limit but the disk's. */
  CACHE_MAX_BYTES: z
    .string()
    .default('')
    .transform((text) => (text === '' ? Number.POSITIVE_INFINITY : parseQuantity(text))),
  CACHE_HIGH_PERCENT: percent.default(85),
  CACHE_LOW_PERCENT: percent.default(75),
}

const fieldsSchema = z.object(cacheLimitFields)

/** @throws when they contradict each other */
export const cacheLimitsOf = (environment: z.output<typeof fieldsSchema>): CacheLimits => {
  const { CACHE_MAX_BYTES: maxBytes, CACHE_HIGH_PERCENT: highPercent, CACHE_LOW_PERCENT: lowPercent } = environment
  if (lowPercent > highPercent)
    throw new Error(`CACHE_LOW_PERCENT is ${lowPercent}, and must not be above CACHE_HIGH_PERCENT, ${highPercent}`)
  return { maxBytes, highPercent, lowPercent }
}
