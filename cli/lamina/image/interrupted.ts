/** Ctrl-C ended it: by the shell's convention the exit code tells which signal. */
class InterruptedError extends Error {
  override name = 'InterruptedError'
  readonly exitCode: number
  constructor(signal: 'SIGINT' | 'SIGTERM') {
    super(`interrupted by ${signal}`)
    this.exitCode = signal === 'SIGINT' ? 130 : 143
  }
}

const signals = ['SIGINT', 'SIGTERM'] as const

/** Runs what can be called off, which cleans up after itself, until it ends or a signal comes. @throws InterruptedError */
export const interruptible = async <T>(act: (signal: AbortSignal) => Promise<T>): Promise<T> => {
  const controller = new AbortController()
  const stop = (signal: (typeof signals)[number]): void => controller.abort(new InterruptedError(signal))
  for (const signal of signals) process.once(signal, stop)
  try {
    return await act(controller.signal)
  } catch (error) {
    throw controller.signal.aborted ? controller.signal.reason : error
  } finally {
    for (const signal of signals) process.off(signal, stop)
  }
}
