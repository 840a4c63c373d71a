import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { isatty } from 'node:tty'

/** A command that cannot take our place, in a process namespace of its own: what is sent to us goes on to it. */

const passedOn = ['SIGHUP', 'SIGTERM', 'SIGUSR1', 'SIGUSR2', 'SIGCONT', 'SIGWINCH'] as const
/** The terminal sends these to all of the foreground, the command included. */
const ofTerminal = ['SIGINT', 'SIGQUIT'] as const

const passOn = (child: ChildProcess): void => {
  const pass = (signal: NodeJS.Signals): void => void child.kill(signal)
  for (const signal of passedOn) process.on(signal, pass)
  const fromTerminal = isatty(0) ? (): void => {} : pass
  for (const signal of ofTerminal) process.on(signal, fromTerminal)
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
    process.kill(process.pid, signal)
  }
  process.exit(code ?? 255)
}

/** Runs it with our own terminal, to its end. @throws the system's error when it cannot be started */
export const supervise = async (
  program: string,
  args: readonly string[],
  options: { env: Readonly<Record<string, string>>; cwd?: string },
): Promise<Ended> => {
  const child = spawn(program, args, { ...options, stdio: 'inherit' })
  passOn(child)
  const [code, signal] = await once(child, 'exit')
  return { code, signal }
}
