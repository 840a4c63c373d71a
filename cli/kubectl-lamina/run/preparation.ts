import { containers } from '../../../kube/names.ts'
import type { Connection } from '../connection.ts'
import { getRaw, linesOf, logPath } from '../raw.ts'

/** A start that is over by then needs no more words. */
const quietMs = 1_500
const againMs = 1_000

/** What the node says of its work on image and overlays, line by line, as long as somebody listens. */
export const tellPreparation = async (
  connection: Connection,
  name: string,
  tell: (line: string) => void,
  signal: AbortSignal,
): Promise<void> => {
  const wait = (ms: number): Promise<void> =>
    new Promise((resolve) => {
      const timer = setTimeout(resolve, ms)
      signal.addEventListener('abort', () => resolve(clearTimeout(timer)), { once: true })
    })
  const path = logPath({ namespace: connection.namespace, name }, { container: containers.prepare, follow: true })
  for (await wait(quietMs); !signal.aborted; await wait(againMs)) {
    // Until it is there; most pods have no such container, and nothing to tell.
    const body = await getRaw(connection, path, signal).catch(() => undefined)
    if (!body) continue
    for await (const line of linesOf(body)) tell(line)
    return
  }
}
