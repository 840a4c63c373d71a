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

/** As lines for people. */
export const findingLines = ({ subject, level, what, next }: Finding): string[] => [
  `${marks[level]} ${subject}: ${what}`,
  ...(next === undefined ? [] : [`  → ${next}`]),
]
