import { spawn } from 'node:child_process'
import { shell } from './tied.ts'

/** Its input ends when its writer has ended, whatever has ended that. */
const killAtTheEnd = `read -r command || exit
read -r never
kill -KILL "$command"`

export interface Guard {
  watch(command: number): void
  /** To be called once the command has ended: its number may become another's. */
  dismiss(): void
}

/**
 * Begins a process of the host's that kills a command when this process ends before it. Only the command itself could ask
 * the kernel for that (PR_SET_PDEATHSIG), and in its root there may be no program that does.
 */
export const startGuard = (): Guard => {
  // In a session of its own: what ends our process group does not end it.
  const guard = spawn(shell, ['-c', killAtTheEnd], {
    env: {},
    cwd: '/',
    detached: true,
    stdio: ['pipe', 'ignore', 'ignore'],
  })
  // One that was killed: the command goes on without it.
  guard.stdin.on('error', () => {})
  return {
    watch: (command) => void guard.stdin.write(`${command}\n`),
    dismiss: () => void guard.kill('SIGKILL'),
  }
}
