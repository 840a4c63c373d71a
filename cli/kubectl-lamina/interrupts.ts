import { constants } from 'node:os'
import { CliError } from '../shared/cli-error.ts'

const heeded = ['SIGINT', 'SIGTERM', 'SIGHUP', 'SIGQUIT'] as const
export type Heeded = (typeof heeded)[number]

export const signalExitCode = (signal: Heeded): number => 128 + constants.signals[signal]

/** Somebody pressed Ctrl-C, or ended us: what was begun is cleaned up, and nothing is said. */
const interrupted = (signal: Heeded): CliError => new CliError('', { exitCode: signalExitCode(signal) })

/** What makes us leave off: signals that we get, and an output that nobody takes any more. */
export interface Interrupts {
  /** Aborted, with a CliError, by the first signal that nobody took, or by `abandon`. */
  signal: AbortSignal
  /** Signals go to the handler until the answer is called. */
  take(handler: (signal: Heeded) => void): () => void
  /** Going on is of no use to anybody. */
  abandon(why: CliError): void
}

/** A second signal that nobody takes ends the process at once; a hang-up comes more than once when a terminal closes. */
export const createInterrupts = (process: {
  on(name: Heeded, heard: () => void): unknown
  exit(code: number): never
}): Interrupts => {
  const controller = new AbortController()
  let taker: ((signal: Heeded) => void) | undefined
  let isAsked = false
  for (const name of heeded) {
    process.on(name, () => {
      if (taker) return taker(name)
      if (isAsked && name !== 'SIGHUP') process.exit(signalExitCode(name))
      isAsked = true
      controller.abort(interrupted(name))
    })
  }
  return {
    signal: controller.signal,
    take: (handler) => {
      taker = handler
      return () => {
        taker = undefined
      }
    },
    abandon: (why) => controller.abort(why),
  }
}
