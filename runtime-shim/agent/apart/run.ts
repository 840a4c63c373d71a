import { type ChildProcess, spawn } from 'node:child_process'
import { dirname, join } from 'node:path'
import { createInterface } from 'node:readline'
import * as z from 'zod/mini'
import { type Clock, systemClock } from '../../../kube/clock.ts'
import { hasCode } from '../../mount/error-code.ts'

/** Work that is done by a process of its own, which can be ended, by which nobody else is stopped, and which takes its memory along. */

/** A bundle that lies beside the agent's. */
export const programBeside = (name: string): string => join(dirname(process.argv[1] ?? ''), name)

/** The process said or did what is no answer. */
export class ApartError extends Error {
  override name = 'ApartError'
}

/** What every such program may say before its answer, or instead of it. */
const remarkSchema = z.discriminatedUnion('kind', [
  /** How far it is; any number of these. */
  z.object({ kind: z.literal('progress'), line: z.string() }),
  /** What nobody has words for. */
  z.object({ kind: z.literal('error'), error: z.string() }),
])
export type Remark = z.infer<typeof remarkSchema>

/** A tool writes down what it has done, and marks what it leaves half-done. */
const graceMs = 5_000
/** Of what it says when it fails, the end. */
const keptCharacters = 4096

/** To the process, its tools and its workers: they are one process group. */
const sendToGroup = ({ pid }: ChildProcess, signal: 'SIGTERM' | 'SIGKILL'): void => {
  if (pid === undefined) return
  try {
    process.kill(-pid, signal)
  } catch (error) {
    if (!hasCode(error, 'ESRCH')) throw error
  }
}

/** Ends all of them when the signal says so. @returns takes the order back */
const endOn = (signal: AbortSignal, child: ChildProcess, clock: Clock): (() => void) => {
  let cancel = (): void => {}
  const end = (): void => {
    sendToGroup(child, 'SIGTERM')
    cancel = clock.setTimeout(() => sendToGroup(child, 'SIGKILL'), graceMs)
  }
  signal.addEventListener('abort', end, { once: true })
  return () => {
    cancel()
    signal.removeEventListener('abort', end)
  }
}

export interface Apart<Answer> {
  /** What it is called in messages. */
  name: string
  program: string
  /** Becomes a line of JSON on its standard input, which is then open for as long as the agent lives. */
  request: object
  /** The last that it says. */
  answer: z.ZodMiniType<Answer>
  env: NodeJS.ProcessEnv
  signal: AbortSignal
  onProgress(line: string): void
}

/**
 * Fulfilled when all of its processes have ended, not before: they have its
 * standard error open. One that waits for a dead volume cannot be ended.
 *
 * @returns undefined when the signal ended it
 * @throws ApartError
 */
export const runApart = <Answer>(apart: Apart<Answer>): Promise<Answer | undefined> =>
  new Promise((resolve, reject) => {
    const { name, program, request, signal, onProgress, env } = apart
    if (signal.aborted) return resolve(undefined)
    const child = spawn(process.execPath, [program], { stdio: 'pipe', env, detached: true })
    const takeBack = endOn(signal, child, systemClock)
    // One that has ended says why by itself.
    child.stdin.on('error', () => {}).write(`${JSON.stringify(request)}\n`)
    let answer: Answer | undefined
    let complaint = ''
    const read = (line: string): void => {
      const said: unknown = JSON.parse(line)
      const { success, data: remark } = remarkSchema.safeParse(said)
      if (!success) answer = apart.answer.parse(said)
      else if (remark.kind === 'progress') onProgress(remark.line)
      else throw new ApartError(remark.error)
    }
    // What fails here ends nothing there: it is told when all of them have ended.
    let failure: unknown
    createInterface({ input: child.stdout }).on('line', (line) => {
      try {
        read(line)
      } catch (error) {
        failure ??= error
      }
    })
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      complaint = (complaint + text).slice(-keptCharacters)
    })
    child.once('error', reject)
    // When it was killed, its tools may be there still.
    child.once('exit', () => sendToGroup(child, 'SIGKILL'))
    child.once('close', (code, killedBy) => {
      takeBack()
      if (signal.aborted) resolve(answer)
      else if (failure !== undefined) reject(failure)
      else if (answer !== undefined) resolve(answer)
      else reject(new ApartError(`${name} ended with ${killedBy ?? code}: ${complaint.trim()}`))
    })
  })
