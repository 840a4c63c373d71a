import { appendFileSync, writeSync } from 'node:fs'

/**
 * Tells a failure as runc does: a JSON line in the `--log` file, from which
 * containerd takes the text for `kubectl describe pod`, and a line on stderr.
 * Only `writeSync`: a stream would leave O_NONBLOCK on what the container inherits.
 */
export const reportFailure = (log: string | undefined, error: unknown, now: Date): void => {
  const message = `lamina: ${error instanceof Error ? error.message : String(error)}`
  if (log !== undefined) {
    appendFileSync(log, `${JSON.stringify({ level: 'error', msg: message, time: now.toISOString() })}\n`)
  }
  writeSync(2, `${message}\n`)
}
