import { pause, systemClock } from '../../../kube/clock.ts'
import type { Logger } from '../../../kube/log.ts'
import { type Configured, type ConfigureOptions, hasHandler } from './configure.ts'
import { adminPath, type Host } from './host.ts'
import { configOf, type NodeRuntime } from './node-runtime.ts'
import { type RuntimeProcess, runtimeProcesses } from './processes.ts'
import { RefusedError } from './refused.ts'
import { supervisionOf } from './supervision.ts'

/** A runtime may end as soon as it has read its configuration. */
const settledMs = 2_000
const restartWithinMs = 60_000
const lookEveryMs = 200

const isSame = (one: RuntimeProcess, other: RuntimeProcess): boolean =>
  one.name === other.name && configOf(one) === configOf(other)

/** The process that does what this one did; undefined while there is none. */
const presentOf = (before: RuntimeProcess, { pid }: Host): RuntimeProcess | undefined =>
  runtimeProcesses(pid).find((each) => isSame(each, before))

/**
 * Makes the runtime read its configuration again, and waits until it runs. Its
 * containers live on: they are their shims' children.
 *
 * @throws RefusedError when it does not come back within a minute; UnsupervisedError when nobody would start it again, and it is left alone
 */
export const restartRuntime = async (host: Host, runtime: NodeRuntime, signal: AbortSignal): Promise<void> => {
  const { process: before, restart } = runtime
  const ended = presentOf(before, host)
  // One that does not run cannot be lost: a unit may have given up on it.
  const how = ended ? await supervisionOf(host, { ...runtime, process: ended }) : restart
  if (how.by === 'systemd') await host.run('systemctl', ['restart', how.unit], adminPath)
  else if (ended) process.kill(ended.pid, 'SIGTERM')
  for (let waited = 0; !signal.aborted; waited += lookEveryMs) {
    const present = presentOf(before, host)
    if (present && present.pid !== ended?.pid && Date.now() - present.startTime > settledMs) return
    if (waited > restartWithinMs)
      throw new RefusedError(`${before.program} has not come back within a minute of its restart`)
    await pause(systemClock, lookEveryMs, signal)
  }
}

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
 * other pods need it. The configuration stays where nobody would start the
 * runtime again, for whoever restarts it by hand.
 *
 * @param waitMs how long a distribution may take to render its configuration
 * @throws RefusedError; UnsupervisedError
 */
export const restartWith = async (
  at: ConfigureOptions,
  { path, undo }: Configured,
  { log, signal, waitMs = renderWithinMs }: { log: Logger; signal: AbortSignal; waitMs?: number },
): Promise<void> => {
  const { host, runtime } = at
  await supervisionOf(host, runtime)
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
