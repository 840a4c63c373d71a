/**
 * Prepares one overlay, grows one that is mounted, or asks for a mount: in a process of its own,
 * since a volume that does not answer stops whoever calls it, and the agent serves
 * the whole node.
 *
 * usage: overlay-preparer.cjs    with the request on standard input (./protocol.ts)
 */
import { isDeviceMounted } from '../../../node/block-device.ts'
import { answerRequest } from '../../apart/answer.ts'
import { Trouble } from '../../trouble.ts'
import { growMounted } from '../grow-mounted.ts'
import { prepareOverlay } from '../prepare.ts'
import { type PreparerAnswer, type PreparerRequest, parseRequest } from './protocol.ts'

const fulfil = async (request: PreparerRequest, onProgress: (line: string) => void): Promise<PreparerAnswer> => {
  if (request.kind === 'ask') return { kind: 'asked', isMounted: isDeviceMounted(request.volume) }
  if (request.kind === 'grow') return { kind: 'growth', outcome: await growMounted(request.growth) }
  return { kind: 'prepared', prepared: await prepareOverlay({ ...request.preparation, onProgress }) }
}

const attempt = async (request: PreparerRequest, onProgress: (line: string) => void): Promise<PreparerAnswer> => {
  try {
    return await fulfil(request, onProgress)
  } catch (error) {
    if (!(error instanceof Trouble)) throw error
    const { reason, message, final } = error
    return { kind: 'trouble', reason, message, final }
  }
}

/** What was begun is brought to its end, whatever has become of the agent. */
const goOn = (): void => {}

const main = (): Promise<void> => answerRequest((text, onProgress) => attempt(parseRequest(text), onProgress), goOn)

await main()
