import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { constants } from 'node:os'
import { resetSignal } from '../../../runtime-shim/mount/syscalls.ts'
import { descriptorsFor, type Inherited, withOpenFileLimit } from './inherited.ts'
import { hasStopped } from './syscalls.ts'
import { isInForeground, rememberTerminal } from './terminal.ts'

/** A command that cannot take our place: what is sent to us goes on to it. */

const passedOn = ['SIGHUP', 'SIGTERM', 'SIGUSR1', 'SIGUSR2', 'SIGCONT'] as const
/** A terminal sends these to all of its foreground, the command included, whose input may be none: not twice. */
const ofTerminal = ['SIGINT', 'SIGQUIT', 'SIGWINCH'] as const

/** @param child undefined before it is begun: what comes while that is done is passed on right after */
export const passOn = (child: () => ChildProcess | undefined): void => {
  const pass = (signal: NodeJS.Signals): void => void child()?.kill(signal)
  for (const signal of passedOn) process.on(signal, pass)
  const passUnlessTold = (signal: NodeJS.Signals): void => {
    if (!isInForeground()) pass(signal)
  }
  for (const signal of ofTerminal) process.on(signal, passUnlessTold)
}

/** A command that stops itself, as `less` does at Ctrl-Z, stops us: the shell that waits for us is to go on. Its `fg` continues both. */
const stopWith = ({ pid }: ChildProcess): void => {
  process.on('SIGCHLD', () => {
    if (pid !== undefined && hasStopped(pid)) process.kill(process.pid, 'SIGSTOP')
  })
}

/** How a command has ended. */
export interface Ended {
  code: number | null
  signal: NodeJS.Signals | null
}

/** Ends as the command did. */
export const endAs = ({ code, signal }: Ended): never => {
  if (signal !== null) {
    for (const each of [...passedOn, ...ofTerminal]) process.removeAllListeners(each)
    // Node ignores one that a command ends by: SIGPIPE.
    resetSignal(constants.signals[signal])
    process.kill(process.pid, signal)
  }
  process.exit(code ?? 255)
}

interface Supervision {
  env: Readonly<Record<string, string>>
  cwd?: string
  inherited: Inherited
  /** Is told its number. */
  started?: ((pid: number) => void) | undefined
}

/** Runs it with our own terminal, to its end. @throws the system's error when it cannot be started */
export const supervise = async (
  program: string,
  args: readonly string[],
  { inherited, started, ...options }: Supervision,
): Promise<Ended> => {
  const restoreTerminal = rememberTerminal()
  let begun: ChildProcess | undefined
  passOn(() => begun)
  const child = withOpenFileLimit(inherited, () =>
    spawn(program, args, { ...options, stdio: descriptorsFor(inherited) }),
  )
  begun = child
  if (child.pid !== undefined) started?.(child.pid)
  stopWith(child)
  const [code, signal] = await once(child, 'exit')
  if (signal !== null) restoreTerminal()
  return { code, signal }
}
