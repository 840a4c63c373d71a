import { constants } from 'node:os'
import { CliError } from '../shared/cli-error.ts'

const heeded = ['SIGINT', 'SIGTERM', 'SIGHUP', 'SIGQUIT'] as const
export type Heeded = (typeof heeded)[number]

export const signalExitCode = (signal: Heeded): number => 128 + constants.signals[signal]

/** Somebody pressed Ctrl-C, or ended us: what was begun is cleaned up, and nothing is said. */
class Interrupted extends CliError {
  constructor(signal: Heeded) {
    super('', { exitCode: signalExitCode(signal) })
  }
}

/** What comes of signals that we get. */
export interface Interrupts {
  /** Aborted, with {@link Interrupted}, by the first signal that nobody took. */
  signal: AbortSignal
  /** Signals go to the handler until the answer is called. */
  take(handler: (signal: Heeded) => void): () => void
}

/** A second signal that nobody takes ends the process at once. */
export const createInterrupts = (process: Pick<NodeJS.Process, 'on' | 'exit'>): Interrupts => {
  const controller = new AbortController()
  let taker: ((signal: Heeded) => void) | undefined
  for (const name of heeded) {
    process.on(name, () => {
      if (taker) return taker(name)
      if (controller.signal.aborted) process.exit(signalExitCode(name))
      controller.abort(new Interrupted(name))
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
  }
}
