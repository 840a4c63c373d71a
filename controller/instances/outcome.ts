import type { Result } from '../context.ts'
import type { Finding, Grant } from './status.ts'

/** What a pass came to, and when the next is due although nothing changes. Without a grant nothing may be mounted. */
export interface Outcome extends Result {
  finding: Finding
  grant?: Grant | undefined
}
