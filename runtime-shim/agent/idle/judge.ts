import type { Observed } from './observe.ts'

/** Under this it does nothing: a shell that waits, a server that nobody asks. In thousandths of a core. */
const quietMillicores = 20
/** A probe is an exec too, and is over by then. */
const sessionAfterMs = 5_000

export interface Judgement {
  isUsed: boolean
  /** What was seen, in words for a condition. */
  seen: string
}

/** @param intervalMs between the two */
export const judge = (before: Observed, after: Observed, intervalMs: number): Judgement => {
  const millicores = Math.round((1000 * (after.cpuMs - before.cpuMs)) / intervalMs)
  const sessions = after.sessions.filter(({ ageMs }) => ageMs >= sessionAfterMs)
  if (sessions.length > 0) {
    const commands = [...new Set(sessions.map(({ command }) => command))].slice(0, 3).join(', ')
    return { isUsed: true, seen: `processes by exec: ${sessions.length} (${commands})` }
  }
  if (millicores >= quietMillicores) return { isUsed: true, seen: `${millicores} thousandths of a core` }
  return { isUsed: false, seen: `no process by exec, less than ${quietMillicores} thousandths of a core` }
}
