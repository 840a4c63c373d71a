import { constants } from 'node:os'

/** The terminal is gone, or whoever sits at it has had enough. */
const signals = ['SIGHUP', 'SIGINT', 'SIGQUIT', 'SIGTERM'] as const
type Signal = (typeof signals)[number]

/** By the shell's convention the exit code tells which signal it was. */
class InterruptedError extends Error {
  override name = 'InterruptedError'
  readonly exitCode: number
  constructor(signal: Signal) {
    super(`interrupted by ${signal}`)
    this.exitCode = 128 + constants.signals[signal]
  }
}

/** Runs what can be called off, which cleans up after itself, until it ends or a signal comes. @throws InterruptedError */
export const interruptible = async <T>(act: (signal: AbortSignal) => Promise<T>): Promise<T> => {
  const controller = new AbortController()
  const stop = (signal: Signal): void => controller.abort(new InterruptedError(signal))
  for (const signal of signals) process.once(signal, stop)
  try {
    return await act(controller.signal)
  } catch (error) {
    throw controller.signal.aborted ? controller.signal.reason : error
  } finally {
    for (const signal of signals) process.off(signal, stop)
  }
}
