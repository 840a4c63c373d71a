import { constants } from 'node:os'

/** Aborted at SIGTERM or SIGINT; a second one ends the process at once. */
export const stopSignal = (process: Pick<NodeJS.Process, 'on' | 'exit'>): AbortSignal => {
  const controller = new AbortController()
  for (const signal of ['SIGTERM', 'SIGINT'] as const) {
    process.on(signal, () => {
      if (controller.signal.aborted) process.exit(128 + constants.signals[signal])
      controller.abort()
    })
  }
  return controller.signal
}
