import { readFileSync } from 'node:fs'
import { parse } from 'yaml'
import * as z from 'zod'

const pattern = z.string().transform((source, context) => {
  try {
    return new RegExp(source, 'gm')
  } catch {
    context.addIssue(`not a regular expression: ${source}`)
    return z.NEVER
  }
})

const stepSchema = z.strictObject({
  type: z.string(),
  /** Its exit code is not 0, and is to be so. */
  fails: z.boolean().default(false),
  /** Of what goes on by itself: Ctrl-C follows once it has printed this. */
  interruptAfter: pattern.optional(),
  /** Of a program that asks, as a shell does: what stands in the last line once it waits for the next step. */
  until: pattern.optional(),
  /** Seconds between the command and what it prints, in the picture. */
  wait: z.number().min(0).default(0.4),
})

const transcriptSchema = z.strictObject({
  title: z.string(),
  columns: z.int().min(40),
  rows: z.int().min(4),
  prompt: z.string().default('$ '),
  /** In the directory where it is typed, by name. */
  files: z.record(z.string(), z.string()).default({}),
  steps: z.array(stepSchema).min(1),
  /** What is another at each recording, and what the picture has for it. */
  steady: z.array(z.strictObject({ from: pattern, to: z.string() })).default([]),
})

/** What somebody types into a shell, and how it is shown. */
export type Transcript = z.output<typeof transcriptSchema>
export type Step = Transcript['steps'][number]

/** @throws with the file's name and the field */
export const readTranscript = (path: string): Transcript => {
  const result = transcriptSchema.safeParse(parse(readFileSync(path, 'utf8')))
  if (!result.success) throw new Error(`${path}:\n${z.prettifyError(result.error)}`)
  return result.data
}
