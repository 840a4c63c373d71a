import type { ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { availableParallelism } from 'node:os'
import type { Writable } from 'node:stream'
import { blockSize } from './tar/header.ts'
import { spawnUnprivileged, thirdDescriptor } from './unprivileged.ts'

/** tar2sqfs ended before its work was done. */
export class SquashfsToolError extends Error {
  override name = 'SquashfsToolError'
  /** What it said of its input or output; undefined if it was killed or could not start. */
  readonly complaint: string | undefined
  constructor(message: string, { complaint, cause }: { complaint?: string; cause?: unknown } = {}) {
    super(message, { cause })
    this.complaint = complaint
  }
}

/** Makes a squashfs of a tar stream. */
export interface SquashfsWriter {
  /** Takes bytes of the stream; resolves when there is room for more. @throws SquashfsToolError */
  write(bytes: Buffer): Promise<void>
  /** Ends the stream and waits for the file to be whole. @throws SquashfsToolError */
  finish(): Promise<void>
  /** Ends the tool, if it still runs, and waits for that. */
  abort(): Promise<void>
}

const compression = ['--compressor', 'zstd', '--comp-extra', 'level=3', '--block-size', '131072']

const start = (fd: number): ChildProcess =>
  spawnUnprivileged(
    'tar2sqfs',
    [
      ...compression,
      ...['--num-jobs', String(availableParallelism()), '--no-skip', '--quiet', '--force', thirdDescriptor],
    ],
    ['pipe', 'ignore', 'pipe', fd],
  )

const longestOutput = 4096

/** Resolves when the tool has ended: to undefined if it has done its work. */
const outcomeOf = async (child: ChildProcess): Promise<SquashfsToolError | undefined> => {
  let output = ''
  child.stderr?.setEncoding('utf8').on('data', (text: string) => {
    output = (output + text).slice(-longestOutput)
  })
  try {
    const [code, killedBy] = await once(child, 'close')
    if (code === 0) return undefined
    if (killedBy) return new SquashfsToolError(`tar2sqfs was ended by ${killedBy}`)
    const complaint = output.replaceAll(`${thirdDescriptor}: `, '').trim() || `exit code ${code}`
    return new SquashfsToolError(`tar2sqfs: ${complaint}`, { complaint })
  } catch (cause) {
    return new SquashfsToolError('tar2sqfs cannot be run: squashfs-tools-ng and util-linux must be installed', {
      cause,
    })
  }
}

const follows = (bytes: Buffer, last: Buffer): boolean =>
  bytes.buffer === last.buffer && bytes.byteOffset === last.byteOffset + last.length

/** What lies side by side in one chunk goes out as one piece. */
const appendTo = (batch: Buffer[], bytes: Buffer): void => {
  const last = batch.at(-1)
  if (last && follows(bytes, last)) {
    batch[batch.length - 1] = Buffer.from(last.buffer, last.byteOffset, last.length + bytes.length)
  } else {
    batch.push(bytes)
  }
}

/** Bytes that are gathered for one write. */
const batchSize = 2 ** 17

const openInput = (child: ChildProcess): Writable => {
  if (!child.stdin) throw new Error('tar2sqfs has no standard input')
  // A tool that ends early breaks the pipe; its outcome says why.
  return child.stdin.on('error', () => {})
}

/** Resolves when the stream takes more, or never will. */
const roomIn = (input: Writable): Promise<void> =>
  new Promise((resolve) => {
    const done = (): void => {
      input.off('drain', done).off('close', done)
      resolve()
    }
    input.on('drain', done).on('close', done)
  })

/** @param fd an empty file, open for writing, which belongs to nobody (`unprivileged`) */
export const createSquashfs = (fd: number): SquashfsWriter => {
  const child = start(fd)
  const input = openInput(child)
  const outcome = outcomeOf(child)
  let batch: Buffer[] = []
  let batched = 0

  const flush = async (): Promise<void> => {
    input.cork()
    for (const bytes of batch) input.write(bytes)
    input.uncork()
    batch = []
    batched = 0
    if (input.writableNeedDrain) await roomIn(input)
    if (!input.writable) throw (await outcome) ?? new SquashfsToolError('tar2sqfs took no more input')
  }

  const write = async (bytes: Buffer): Promise<void> => {
    appendTo(batch, bytes)
    batched += bytes.length
    if (batched >= batchSize) await flush()
  }

  const finish = async (): Promise<void> => {
    await write(Buffer.alloc(2 * blockSize))
    await flush()
    input.end()
    const failure = await outcome
    if (failure) throw failure
  }

  const abort = async (): Promise<void> => {
    child.kill('SIGKILL')
    await outcome
  }

  return { write, finish, abort }
}
