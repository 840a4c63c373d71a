/**
 * Prepares one overlay, or grows one that is mounted: in a process of its own,
 * since a volume that does not answer stops whoever calls it, and the agent serves
 * the whole node.
 *
 * usage: overlay-preparer.cjs REQUEST    (JSON, ./protocol.ts)
 */
import { writeSync } from 'node:fs'
import { inspect } from 'node:util'
import { hasCode } from '../../../mount/error-code.ts'
import { Trouble } from '../../trouble.ts'
import { growMounted } from '../grow-mounted.ts'
import { prepareOverlay } from '../prepare.ts'
import { type PreparerAnswer, type PreparerLine, type PreparerRequest, parseRequest } from './protocol.ts'

/** An agent that was killed listens no more; what was begun is brought to its end all the same. */
const say = (line: PreparerLine): void => {
  try {
    writeSync(1, `${JSON.stringify(line)}\n`)
  } catch (error) {
    if (!hasCode(error, 'EPIPE')) throw error
  }
}

const fulfil = async (request: PreparerRequest): Promise<PreparerAnswer> => {
  if (request.kind === 'grow') return { kind: 'growth', outcome: await growMounted(request.growth) }
  const onProgress = (line: string): void => say({ kind: 'progress', line })
  return { kind: 'prepared', prepared: await prepareOverlay({ ...request.preparation, onProgress }) }
}

const attempt = async (request: PreparerRequest): Promise<PreparerAnswer> => {
  try {
    return await fulfil(request)
  } catch (error) {
    if (!(error instanceof Trouble)) return { kind: 'error', error: inspect(error) }
    const { reason, message, final } = error
    return { kind: 'trouble', reason, message, final }
  }
}

const main = async (): Promise<void> => {
  say(await attempt(parseRequest(process.argv[2] ?? '')))
}

await main()
