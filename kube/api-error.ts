import * as z from 'zod'

/** What the API server says when it says no. */
export class ApiError extends Error {
  override readonly name = 'ApiError'
  /** HTTP status. */
  readonly status: number
  /** `reason` of the Status: NotFound, Conflict, AlreadyExists, Invalid, Forbidden, Expired, … */
  readonly reason: string
  /** Name of the object that the answer is about; undefined when it is about the path, or unknown. */
  readonly subject: string | undefined
  /** Reasons of its details' causes: NamespaceTerminating, FieldValueInvalid, … */
  readonly causes: readonly string[]
  /** What the API server said, without what was asked. */
  readonly words: string

  constructor(
    message: string,
    {
      status,
      reason,
      subject,
      causes = [],
      words = message,
    }: { status: number; reason: string; subject?: string; causes?: readonly string[]; words?: string },
  ) {
    super(message)
    this.words = words
    this.causes = causes
    this.status = status
    this.reason = reason
    this.subject = subject
  }
}

export const hasReason = (error: unknown, ...reasons: string[]): boolean =>
  error instanceof ApiError && reasons.includes(error.reason)

/** Whether the namespace takes nothing more, for it is being deleted. */
export const isOfEndingNamespace = (error: unknown): boolean =>
  error instanceof ApiError && error.causes.includes('NamespaceTerminating')

/** Whether the object is not there, as against the kind or the path: those are faults of the installation. */
export const isAbsent = (error: unknown): boolean =>
  hasReason(error, 'NotFound') && error instanceof ApiError && !!error.subject

const statusSchema = z.object({
  kind: z.literal('Status'),
  message: z.string().optional(),
  reason: z.string().optional(),
  code: z.number().optional(),
  details: z
    .object({
      name: z.string().optional(),
      causes: z.array(z.object({ reason: z.string().default('') })).default([]),
    })
    .optional(),
})

/** Reasons of answers that carry no Status: those of proxies, and of paths that nobody serves. */
const reasonsByStatus: ReadonlyMap<number, string> = new Map([
  [400, 'BadRequest'],
  [401, 'Unauthorized'],
  [403, 'Forbidden'],
  [404, 'NotFound'],
  [405, 'MethodNotAllowed'],
  [409, 'Conflict'],
  [410, 'Expired'],
  [422, 'Invalid'],
  [429, 'TooManyRequests'],
  [500, 'InternalError'],
  [503, 'ServiceUnavailable'],
  [504, 'Timeout'],
])

const parseJson = (text: string): unknown => {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

/** The error of a Status object, as it comes in answers and at the end of watches. */
export const apiErrorOf = (what: string, httpStatus: number, json: unknown, text = ''): ApiError => {
  const parsed = statusSchema.safeParse(json)
  const said = parsed.success ? parsed.data : undefined
  const status = said?.code ?? httpStatus
  const reason = said?.reason || (reasonsByStatus.get(status) ?? 'Unknown')
  const explanation = said ? said.message?.trim() : text.trim().slice(0, 512)
  // Never empty: it is all that a condition says of it.
  const words = explanation || `it answered ${status} ${reason}, without an explanation`
  const subject = said?.details?.name
  return new ApiError(explanation ? `${what}: ${words} (${status} ${reason})` : `${what}: ${words}`, {
    status,
    reason,
    words,
    causes: said?.details?.causes.map((cause) => cause.reason) ?? [],
    ...(subject ? { subject } : {}),
  })
}

/** The error of an answer's body. */
export const apiErrorOfBody = (what: string, httpStatus: number, body: string): ApiError =>
  apiErrorOf(what, httpStatus, parseJson(body), body)
