import { once } from 'node:events'
import { PassThrough, type Readable, Writable } from 'node:stream'

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
): Writable =>
  new Writable({
    write: (chunk: Buffer, _encoding, done) => {
      const bytes = pass(chunk)
      if (bytes.length > 0 && !target.write(bytes)) {
        socket()?.pause()
        target.once('drain', () => socket()?.resume())
      }
      done()
    },
  })

/**
 * Standard input for the other side, which reads as slowly as it likes.
 *
 * @param signal ends it
 */
export const feed = (source: Readable, socket: () => Socket | undefined, signal: AbortSignal): Readable => {
  const stream = new PassThrough()
  const pump = async (): Promise<void> => {
    for await (const chunk of source) {
      if (signal.aborted) return
      if (!stream.write(chunk)) await once(stream, 'drain', { signal })
      while ((socket()?.bufferedAmount ?? 0) > mostBuffered && !signal.aborted)
        await new Promise((resolve) => setTimeout(resolve, lookAgainMs))
    }
    stream.end()
  }
  pump().catch(() => stream.end())
  return stream
}
