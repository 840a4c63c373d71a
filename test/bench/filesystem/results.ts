import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import * as z from 'zod'

const workSchema = z.object({
  reads: z.number(),
  kibibytesRead: z.number(),
  writes: z.number(),
  kibibytesWritten: z.number(),
  flushes: z.number(),
})

/** Over the rounds; `best` is the fastest of the variant against the fastest of the host directory. */
const ratioSchema = z.object({ median: z.number(), lower: z.number(), upper: z.number(), best: z.number() })

const resultSchema = z.object({
  variant: z.string(),
  workload: z.string(),
  /** The ratio that the issue asks for. */
  aim: z.number(),
  /** Speed against the host directory over the rounds, with quartiles: more than 1 is faster. */
  ratio: ratioSchema,
  /** Operations a second (runs a second for whole commands), the median. */
  rate: z.number(),
  /** What the disk did for one operation; left out where it is not the bench's own. */
  disk: z.optional(z.object({ own: workSchema, reference: workSchema })),
})

/** A run, as it is kept in docs/plots/data. */
export const runSchema = z.object({
  set: z.string(),
  /** The file system underneath. */
  backing: z.string(),
  rounds: z.number(),
  kernel: z.string(),
  results: z.array(resultSchema),
})

export type Ratio = z.infer<typeof ratioSchema>
/** What a block device did: requests, and KiB moved by them. */
export type DiskWork = z.infer<typeof workSchema>
export type Result = z.infer<typeof resultSchema>
export type Run = z.infer<typeof runSchema>

export const namesOf = (run: Run, of: 'variant' | 'workload'): string[] => [
  ...new Set(run.results.map((result) => result[of])),
]

export const runName = ({ set, backing }: Run): string => `${set}-${backing}`

/** @throws when a file there is no run */
export const readRuns = (dir: string): Run[] =>
  readdirSync(dir)
    .filter((file) => file.endsWith('.json'))
    .toSorted()
    .map((file) => runSchema.parse(JSON.parse(readFileSync(join(dir, file), 'utf8'))))
