import * as z from 'zod/mini'
import { fileErrorKinds, registryErrorKinds } from '../../../image/errors.ts'
import type { BroughtImage, FetchImage } from '../make.ts'

/** What the agent asks of its fetcher, and what that answers ({@link ../../apart/run.ts}). */

export type FetchRequest = Omit<Parameters<FetchImage>[0], 'signal' | 'onProgress'>

/** JSON has no infinity. */
const revive = (key: string, value: unknown): unknown =>
  key === 'most' && value === null ? Number.POSITIVE_INFINITY : value

/** The request comes from the same version of the same program: its fields are what the types say. */
export const parseRequest = (text: string): FetchRequest => JSON.parse(text, revive)

const broughtSchema: z.ZodMiniType<BroughtImage> = z.object({
  sizeBytes: z.number(),
  fetchedBytes: z.number(),
  user: z.string(),
  fileDigest: z.string(),
})

const diskLackSchema = z.object({
  path: z.string(),
  needed: z.number(),
  free: z.number(),
  keepFree: z.exactOptional(z.number()),
  soFar: z.exactOptional(z.boolean()),
})

const cacheLackSchema = z.object({ needed: z.number(), most: z.number(), soFar: z.exactOptional(z.boolean()) })

/** Errors of which somebody looks at more than the words. */
export const failureSchema = z.discriminatedUnion('type', [
  z.object({ type: z.literal('disk full'), lack: diskLackSchema }),
  z.object({ type: z.literal('cache full'), lack: cacheLackSchema }),
  z.object({ type: z.literal('registry'), kind: z.enum(registryErrorKinds), message: z.string() }),
  z.object({ type: z.literal('file'), kind: z.enum(fileErrorKinds), message: z.string() }),
  z.object({ type: z.literal('conversion'), message: z.string() }),
  z.object({ type: z.literal('system'), code: z.string(), message: z.string() }),
])
export type Failure = z.infer<typeof failureSchema>

export const fetcherAnswerSchema = z.discriminatedUnion('kind', [
  z.object({ kind: z.literal('brought'), image: broughtSchema }),
  z.object({ kind: z.literal('failed'), failure: failureSchema }),
])
export type FetcherAnswer = z.infer<typeof fetcherAnswerSchema>
