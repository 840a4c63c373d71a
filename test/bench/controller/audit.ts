import { createReadStream } from 'node:fs'
import { stat } from 'node:fs/promises'
import { createInterface } from 'node:readline'
import * as z from 'zod'

/** One request of the controller's, as the API server noted it. */
export interface AuditedRequest {
  verb: string
  /** With the subresource: `instances/status`. */
  resource: string
  /** HTTP status. */
  code: number
  /** Of the object; undefined when it is about many. */
  name: string | undefined
  /** When it was received, in ms since 1970. */
  at: number
}

const lineSchema = z.object({
  stage: z.string(),
  verb: z.string(),
  objectRef: z
    .object({
      resource: z.string().default(''),
      subresource: z.string().optional(),
      name: z.string().optional(),
    })
    .optional(),
  requestReceivedTimestamp: z.string(),
  responseStatus: z.object({ code: z.number().default(0) }).optional(),
})

const requestOf = (line: string): AuditedRequest[] => {
  const { stage, verb, objectRef, responseStatus, requestReceivedTimestamp } = lineSchema.parse(JSON.parse(line))
  // A watch is noted when it begins and when it ends.
  if (stage !== (verb === 'watch' ? 'ResponseStarted' : 'ResponseComplete')) return []
  const { resource = '', subresource, name } = objectRef ?? {}
  const what = { verb, resource: subresource ? `${resource}/${subresource}` : resource, name }
  return [{ ...what, code: responseStatus?.code ?? 0, at: Date.parse(requestReceivedTimestamp) }]
}

/** Begins to count; the function gives what has been asked since. */
export const auditFrom = async (log: string): Promise<() => Promise<AuditedRequest[]>> => {
  const { size: start } = await stat(log)
  return async () => {
    const requests: AuditedRequest[] = []
    const { size: end } = await stat(log)
    if (end === start) return requests
    for await (const line of createInterface({ input: createReadStream(log, { start, end: end - 1 }) })) {
      requests.push(...requestOf(line))
    }
    return requests
  }
}

const reading = new Set(['get', 'list', 'watch'])

export const isWrite = ({ verb }: Pick<AuditedRequest, 'verb'>): boolean => !reading.has(verb)

/** How many there were of each sort: `create pods`, `patch instances/status`; refused ones apart, with their code. */
export const countRequests = (
  requests: readonly Pick<AuditedRequest, 'verb' | 'resource' | 'code'>[],
): Record<string, number> => {
  const counts: Record<string, number> = {}
  for (const { verb, resource, code } of requests) {
    const name = `${verb} ${resource}${code >= 400 ? ` (${code})` : ''}`
    counts[name] = (counts[name] ?? 0) + 1
  }
  return Object.fromEntries(Object.entries(counts).toSorted(([a], [b]) => (a < b ? -1 : 1)))
}
