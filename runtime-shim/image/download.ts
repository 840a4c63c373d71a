import { createHash, type Hash } from 'node:crypto'
import { type FileHandle, open, rm } from 'node:fs/promises'
import type { IncomingMessage } from 'node:http'
import { dirname } from 'node:path'
import { FileError, NoSpaceError } from './errors.ts'
import { openUrl, shownUrl, unreachable, type WebAnswer, type WebRequest } from './https.ts'
import { createJudge, type Pace, usualPace } from './pace.ts'
import { downloaded, progressMs } from './progress.ts'
import { assertRoom, freeBytes, isFullError, type Room } from './space.ts'

export interface Download {
  /** https:// */
  url: string
  /** `sha256:…` that the file must have. */
  digest: string
  /** File to write; must not exist. */
  target: string
  signal: AbortSignal
  onProgress(line: string): void
  /** What it may take; the whole disk when left out. */
  room?: Room | undefined
  /** Instead of the usual ones. */
  web?: (Partial<Pick<WebRequest, 'ca'>> & { pace?: Partial<Pace> }) | undefined
}

/** The connection broke while the body came. */
class InterruptedError extends Error {
  override name = 'InterruptedError'
}

/** Between two looks at what has come. */
const judgeEveryMs = 100

/** A server that ends the connection so often, without a byte more or to begin anew each time, is given up. */
const mostInterruptions = 5

/** What has come so far. */
interface Received {
  hash: Hash
  bytes: number
  /** With what had to be thrown away because the server cannot continue. */
  arrived: number
  total: number | undefined
  /** What the server calls this version of the file: only that may be continued. */
  validator: string | undefined
}

const nothing = (): Received => ({
  ...{ hash: createHash('sha256'), bytes: 0, arrived: 0 },
  ...{ total: undefined, validator: undefined },
})

const lengthOf = (text: string | undefined): number | undefined =>
  text !== undefined && /^\d{1,15}$/.test(text) ? Number(text) : undefined

/** If-Range takes no weak validator (RFC 9110, 13.1.5). */
const validatorOf = ({ headers: { etag, 'last-modified': modified } }: IncomingMessage): string | undefined =>
  etag === undefined || etag.startsWith('W/') ? modified : etag

const rangeFrom = ({ bytes, validator }: Received): Record<string, string> =>
  bytes === 0 || validator === undefined ? {} : { range: `bytes=${bytes}-`, 'if-range': validator }

const continues = ({ status, response }: WebAnswer, { bytes }: Pick<Received, 'bytes'>): boolean =>
  status === 206 && response.headers['content-range']?.startsWith(`bytes ${bytes}-`) === true

/** A server may not know how to continue: then all begins anew. */
const beginOrContinue = async (answer: WebAnswer, received: Received, file: FileHandle): Promise<void> => {
  if (continues(answer, received)) return
  if (answer.status === 206)
    throw new FileError('Other', `${answer.url.host} gives another part of the file than it was asked for`)
  await file.truncate(0)
  const { response } = answer
  const total = lengthOf(response.headers['content-length'])
  Object.assign(received, nothing(), { total, validator: validatorOf(response), arrived: received.arrived })
}

async function* piecesOf({ response }: WebAnswer): AsyncGenerator<Buffer, void, void> {
  try {
    yield* response
  } catch (cause) {
    throw new InterruptedError('the connection broke', { cause })
  }
}

/** One write may take less than it was given. */
const writeAll = async (file: FileHandle, piece: Buffer, position: number): Promise<void> => {
  for (let done = 0; done < piece.length; ) {
    const { bytesWritten } = await file.write(piece, done, piece.length - done, position + done)
    done += bytesWritten
  }
}

/** Writes what comes to the end of what is there. @throws InterruptedError, the system's errors of writing */
const receive = async (
  answer: WebAnswer,
  received: Received,
  file: FileHandle,
  onProgress: Download['onProgress'],
): Promise<void> => {
  let toldAt = performance.now()
  for await (const piece of piecesOf(answer)) {
    await writeAll(file, piece, received.bytes)
    received.hash.update(piece)
    received.bytes += piece.length
    received.arrived += piece.length
    if (performance.now() - toldAt < progressMs) continue
    toldAt = performance.now()
    onProgress(downloaded(received.bytes, received.total))
  }
}

const receiveAll = async (
  { url, target, signal, onProgress, room, web }: Download,
  received: Received,
  file: FileHandle,
): Promise<void> => {
  for (let interruptions = 0; ; ) {
    const headers = rangeFrom(received)
    // A silent connection is made anew once before the file is given up.
    const silenceMs = (web?.pace?.silenceMs ?? usualPace.silenceMs) / 2
    const answer = await openUrl(url, { method: 'GET', headers, signal, silenceMs, ca: web?.ca })
    const before = received.bytes
    try {
      await beginOrContinue(answer, received, file)
      const total = received.total ?? received.bytes
      assertRoom(dirname(target), total, room, total - received.bytes)
      return await receive(answer, received, file, onProgress)
    } catch (error) {
      answer.response.destroy()
      signal.throwIfAborted()
      if (!(error instanceof InterruptedError)) throw error
      interruptions = continues(answer, { bytes: before }) && received.bytes > before ? 1 : interruptions + 1
      if (interruptions === mostInterruptions) throw unreachable(answer.url, error.cause)
      onProgress(`the connection to ${answer.url.host} broke, and is made again`)
    }
  }
}

/** Has `act` end when too little of the file comes, whatever keeps it: a server may take its time with headers too. */
const inTime = async (
  { url, signal, web }: Download,
  received: Received,
  act: (signal: AbortSignal) => Promise<void>,
): Promise<void> => {
  const judge = createJudge({ ...usualPace, ...web?.pace })
  const slow = new AbortController()
  const timer = setInterval(() => {
    const fault = judge(received.arrived)
    if (fault !== undefined) slow.abort(unreachable(new URL(url), new Error(fault)))
  }, judgeEveryMs)
  try {
    await act(AbortSignal.any([signal, slow.signal]))
  } finally {
    clearInterval(timer)
  }
}

/** To be asked when the file is gone, and its room free. Of a file of unknown length more was to come. */
const explain = (error: unknown, { target }: Download, { bytes, total }: Received): unknown => {
  if (!isFullError(error)) return error
  const path = dirname(target)
  const needed = total ?? bytes + 2 ** 20
  return new NoSpaceError({ path, needed, free: freeBytes(path), soFar: total === undefined }, { cause: error })
}

/**
 * Fetches a file by https and checks it against its digest while it comes. A
 * connection that breaks is continued where the server can; a server that brings
 * too little is given up. Nothing is left at `target` when it fails; the file is
 * not synced to disk.
 *
 * @throws FileError, NoSpaceError
 */
export const downloadFile = async (download: Download): Promise<{ sizeBytes: number }> => {
  const { url, digest, target } = download
  const file = await open(target, 'wx', 0o600)
  const received = nothing()
  try {
    await inTime(download, received, (signal) => receiveAll({ ...download, signal }, received, file))
    const found = `sha256:${received.hash.digest('hex')}`
    if (found === digest) return { sizeBytes: received.bytes }
    throw new FileError(
      'Mismatch',
      `what ${shownUrl(url)} gives has ${found}, and ${digest} is asked for: correct spec.source.file.sha256, or name another file`,
    )
  } catch (error) {
    await file.truncate(0)
    await rm(target)
    throw explain(error, download, received)
  } finally {
    await file.close()
  }
}
