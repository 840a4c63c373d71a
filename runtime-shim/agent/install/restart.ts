import { pause, systemClock } from '../../../kube/clock.ts'
import type { Logger } from '../../../kube/log.ts'
import { type Configured, type ConfigureOptions, hasHandler } from './configure.ts'
import { restartRuntime } from './host.ts'
import { RefusedError } from './refused.ts'

const renderWithinMs = 30_000

/** Some distributions make the configuration only after the restart, or a while after our file is there. */
const awaitHandler = async (at: ConfigureOptions, longestMs: number, signal: AbortSignal): Promise<boolean> => {
  for (let waited = 0; !signal.aborted; waited += 1_000) {
    if (await hasHandler(at)) return true
    if (waited >= longestMs) return false
    await pause(systemClock, 1_000, signal)
  }
  return true
}

/**
 * Restarts the container runtime with its new configuration. What does not come
 * back with the handler is put back as it was, and restarted again: the node's
 * other pods need it.
 *
 * @param waitMs how long a distribution may take to render its configuration
 * @throws RefusedError
 */
export const restartWith = async (
  at: ConfigureOptions,
  { path, undo }: Configured,
  { log, signal, waitMs = renderWithinMs }: { log: Logger; signal: AbortSignal; waitMs?: number },
): Promise<void> => {
  const { host, runtime } = at
  try {
    await restartRuntime(host, runtime, signal)
    if (await awaitHandler(at, waitMs, signal)) return
    throw new RefusedError(`${runtime.kind} has not taken up the handler from ${path}, although it was restarted`)
  } catch (error) {
    log.error({ err: error, file: path }, 'putting the configuration back as it was')
    undo()
    await restartRuntime(host, runtime, signal)
    throw error
  }
}
