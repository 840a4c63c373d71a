import { spawn } from 'node:child_process'
import { once } from 'node:events'

const longestOutput = 4096

interface ToolOptions {
  env: NodeJS.ProcessEnv
  /** Ends it. */
  signal: AbortSignal
}

/**
 * Runs a program of the host on an open file, which it finds at {@link thirdDescriptor}: under the file's own name
 * another one may lie by then. Fulfilled when it has ended.
 *
 * @returns the end of what it said, and undefined for the exit code where a signal ended it
 * @throws the system's error when it cannot be started
 * @throws the signal's reason
 */
export const runOn = async (
  fd: number,
  [program = '', ...args]: readonly string[],
  { env, signal }: ToolOptions,
): Promise<{ exitCode: number | undefined; stderr: string }> => {
  const child = spawn(program, args, { env, stdio: ['ignore', 'ignore', 'pipe', fd] })
  const end = (): boolean => child.kill()
  signal.addEventListener('abort', end, { once: true })
  let stderr = ''
  child.stderr?.setEncoding('utf8').on('data', (text: string) => {
    stderr = (stderr + text).slice(-longestOutput)
  })
  try {
    await once(child, 'close')
  } finally {
    signal.removeEventListener('abort', end)
  }
  signal.throwIfAborted()
  return { exitCode: child.exitCode ?? undefined, stderr }
}
