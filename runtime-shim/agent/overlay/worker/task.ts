import * as z from 'zod/mini'

/** What the agent and its worker say to each other: a task as the argument, an answer as one line. The overlay is open as descriptor 3. */

const extentSchema = z.object({ offset: z.number(), size: z.number() })

export const workerTaskSchema = z.discriminatedUnion('kind', [
  /** Import an ext3 file system in a file. */
  z.object({ kind: z.literal('image'), extent: extentSchema, lockDir: z.string() }),
  /** Import the ext3 file system on a device; `mountAt` is any directory. */
  z.object({ kind: z.literal('device'), mountAt: z.string() }),
  /** Import a directory. */
  z.object({ kind: z.literal('directory') }),
  /** Grow the mounted file system of the device (a loop device, a block volume) to so many blocks. */
  z.object({ kind: z.literal('grow'), blocks: z.number(), mountAt: z.string() }),
])
export type WorkerTask = z.infer<typeof workerTaskSchema>

export const workerAnswerSchema = z.object({
  /** Why it was not done. */
  error: z.optional(z.string()),
  /** The system's name for that: ENOSPC, EPERM. */
  code: z.optional(z.string()),
  /** How many marks of other tools were rewritten. */
  normalised: z._default(z.number(), 0),
})
export type WorkerAnswer = z.infer<typeof workerAnswerSchema>
