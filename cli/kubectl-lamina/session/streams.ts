import { once } from 'node:events'
import { PassThrough, type Readable, Writable } from 'node:stream'
import { setTimeout as sleep } from 'node:timers/promises'

/** More than this is not held in memory for the other side. */
const mostBuffered = 1 << 20
const lookAgainMs = 10

/** What of a WebSocket is asked here. */
export interface Socket {
  readonly bufferedAmount: number
  pause(): void
  resume(): void
}

/** Writes to `target`, and holds the sender back while that does not take more. */
export const heldBack = (
  target: NodeJS.WritableStream,
  socket: () => Socket | undefined,
  pass: (chunk: Buffer) => Buffer = (chunk) => chunk,
): Writable => {
  let isHeld = false
  const goOn = (): void => {
    isHeld = false
    socket()?.resume()
  }
  return new Writable({
    write: (chunk: Buffer, _encoding, done) => {
      const bytes = pass(chunk)
      if (bytes.length > 0 && !target.write(bytes) && !isHeld) {
        isHeld = true
        socket()?.pause()
        target.once('drain', goOn)
      }
      done()
    },
  })
}

/** Takes what comes, and forgets it. */
export const nowhere = (): Writable => new Writable({ write: (_chunk, _encoding, done) => done() })

/**
 * A stream for the other side, which reads as slowly as it likes.
 *
 * @param sent is told how much goes over, in bytes
 * @returns it, and what begins to read `source` for it: what has been read cannot be given back
 */
export const feed = (
  source: Readable,
  socket: () => Socket | undefined,
  { signal, sent = () => {} }: { signal: AbortSignal; sent?: (bytes: number) => void },
) => {
  const stream = new PassThrough()
  const pump = async (): Promise<void> => {
    for await (const chunk of source) {
      sent(Buffer.byteLength(chunk))
      if (!stream.write(chunk)) await once(stream, 'drain', { signal })
      while ((socket()?.bufferedAmount ?? 0) > mostBuffered) await sleep(lookAgainMs, undefined, { signal })
    }
    stream.end()
  }
  let hasBegun = false
  const begin = (): void => {
    if (hasBegun) return
    hasBegun = true
    pump().catch(() => stream.end())
  }
  return { stream, begin }
}
