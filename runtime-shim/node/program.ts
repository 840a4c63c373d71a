import { execFile } from 'node:child_process'

/**
 * Programs of the system, by Node's own means: an agent's memory and a fetcher's
 * start are worth more than the comfort of a library.
 */

export interface ProgramOptions {
  /** Instead of this process' own. */
  env?: NodeJS.ProcessEnv
  /** It is ended after so long. */
  timeoutMs?: number
  /** Ends it. */
  signal?: AbortSignal
  /** Is called when it says its first word. */
  onOutput?: (() => void) | undefined
}

export interface Ended {
  stdout: Buffer
  stderr: string
  /** Undefined when a signal ended it. */
  exitCode: number | undefined
  /** Its time was up. */
  timedOut: boolean
}

/** Of either output. */
const longestOutput = 64 * 2 ** 20

/**
 * Runs a program, whatever comes of it; fulfilled when it has ended.
 *
 * @throws the system's error when it cannot be started; when it says more than anybody wants to hear
 */
export const runProgram = (
  program: string,
  args: readonly string[],
  { env = process.env, timeoutMs = 0, signal, onOutput }: ProgramOptions = {},
): Promise<Ended> =>
  new Promise((resolve, reject) => {
    const options = { encoding: 'buffer' as const, maxBuffer: longestOutput, timeout: timeoutMs, env }
    const child = execFile(program, args, options, (error, stdout, stderr) => {
      signal?.removeEventListener('abort', end)
      if (typeof error?.code === 'string') return reject(error)
      const exitCode = error === null ? 0 : (error.code ?? undefined)
      const timedOut = error?.killed === true && signal?.aborted !== true
      resolve({ stdout, stderr: stderr.toString(), exitCode, timedOut })
    })
    const end = (): void => {
      child.kill()
    }
    child.stdin?.end()
    if (onOutput) child.stdout?.once('data', onOutput)
    signal?.addEventListener('abort', end, { once: true })
  })
