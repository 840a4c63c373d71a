import { writeSync } from 'node:fs'
import { createInterface } from 'node:readline'
import { inspect } from 'node:util'
import { hasCode } from '../../mount/error-code.ts'
import type { Remark } from './run.ts'

/** The other side of {@link ./run.ts}: what a program does that works for the agent. */

/** An agent that was killed listens no more. */
const say = (line: object): void => {
  try {
    writeSync(1, `${JSON.stringify(line)}\n`)
  } catch (error) {
    if (!hasCode(error, 'EPIPE')) throw error
  }
}

const remark = (words: Remark): void => say(words)

interface Asked {
  request: string
  /** Listens to the agent no more. */
  close(): void
}

const receive = (onAgentGone: () => void): Promise<Asked> =>
  new Promise((resolve) => {
    const lines = createInterface({ input: process.stdin }).once('close', onAgentGone)
    const close = (): void => {
      lines.off('close', onAgentGone)
      process.stdin.destroy()
    }
    lines.once('line', (request) => resolve({ request, close }))
  })

/**
 * Answers the agent's one request.
 *
 * @param onAgentGone is called when the agent has ended meanwhile
 */
export const answerRequest = async (
  act: (request: string, onProgress: (line: string) => void) => Promise<object>,
  onAgentGone: () => void,
): Promise<void> => {
  const { request, close } = await receive(onAgentGone)
  try {
    say(await act(request, (line) => remark({ kind: 'progress', line })))
  } catch (error) {
    remark({ kind: 'error', error: inspect(error) })
  } finally {
    close()
  }
}
