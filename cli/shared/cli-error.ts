/** What a command line says when it cannot go on: one message, with what to do next, and never a stack trace. */
export class CliError extends Error {
  override readonly name = 'CliError'
  readonly exitCode: number

  constructor(message: string, { exitCode = exitCodes.failure, cause }: { exitCode?: number; cause?: unknown } = {}) {
    super(message, cause === undefined ? {} : { cause })
    this.exitCode = exitCode
  }
}

/** Exit codes beside those of a command that is run: shells and container engines have the same. */
export const exitCodes = {
  failure: 1,
  usage: 2,
  /** The command was not started, for a reason of ours. */
  notStarted: 125,
  notExecutable: 126,
  notFound: 127,
} as const

/** The words were wrong: nothing has been done. */
export const usageError = (message: string): CliError => new CliError(message, { exitCode: exitCodes.usage })
