import * as z from 'zod/mini'
import { isNodeReason, type NodeReason } from '../../../../kube/node-reasons.ts'
import type { BlockVolume } from '../../../node/block-device.ts'
import { figuresSchema } from '../../../node/ticket.ts'
import type { GrowthOutcome, MountedGrowth } from '../grow-mounted.ts'
import type { Preparation, PreparedOverlay } from '../preparation.ts'

/** What the agent asks of its preparer, and what that answers ({@link ../../apart/run.ts}). */

export type PreparerRequest =
  | { kind: 'prepare'; preparation: Omit<Preparation, 'onProgress'> }
  | { kind: 'grow'; growth: MountedGrowth }
  | { kind: 'ask'; volume: BlockVolume }

/** The request comes from the same version of the same program: its fields are what the types say. */
export const parseRequest = (text: string): PreparerRequest => JSON.parse(text)

const preparedSchema: z.ZodMiniType<PreparedOverlay> = z.object({
  figures: figuresSchema,
  inUse: z.exactOptional(z.boolean()),
  checked: z.boolean(),
  repaired: z.exactOptional(z.array(z.string())),
  damaged: z.exactOptional(z.string()),
})

const outcomeSchema: z.ZodMiniType<GrowthOutcome> = z.discriminatedUnion('kind', [
  z.object({ kind: z.literal('grown'), bytes: z.number() }),
  z.object({ kind: z.literal('enough') }),
  z.object({ kind: z.literal('later'), why: z.string() }),
  z.object({ kind: z.literal('never'), why: z.string() }),
])

export const preparerAnswerSchema = z.discriminatedUnion('kind', [
  z.object({ kind: z.literal('prepared'), prepared: preparedSchema }),
  z.object({ kind: z.literal('growth'), outcome: outcomeSchema }),
  /** Whether the block volume is mounted. */
  z.object({ kind: z.literal('asked'), isMounted: z.boolean() }),
  z.object({
    kind: z.literal('trouble'),
    reason: z.custom<NodeReason>(isNodeReason),
    message: z.string(),
    final: z.boolean(),
  }),
])
export type PreparerAnswer = z.infer<typeof preparerAnswerSchema>
