import { oneLine } from '../../shared/printable.ts'

/** One thing that was looked at. */
export interface Finding {
  /** `instance/dev`, `node/worker-1`, `installation`. */
  subject: string
  /** `note`: worth to know, and nothing to mend. */
  level: 'ok' | 'note' | 'wrong'
  what: string
  /** What to do about it. */
  next?: string
}

const marks = { ok: '✓', note: '•', wrong: '✗' } as const

/** As lines for people; what a condition or an Event says is others' text. */
export const findingLines = ({ subject, level, what, next }: Finding): string[] => [
  `${marks[level]} ${subject}: ${oneLine(what)}`,
  ...(next === undefined ? [] : [`  → ${oneLine(next)}`]),
]
