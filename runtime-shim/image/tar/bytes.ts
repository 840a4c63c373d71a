/** The stream ended in the middle of something. */
export class TruncatedError extends Error {
  override name = 'TruncatedError'
}

/** Reads a stream of chunks by exact amounts, without copying where it can. */
export interface ByteReader {
  /** Bytes consumed so far. */
  position(): number
  /** The next `size` bytes; undefined when the stream has ended. @throws TruncatedError */
  read(size: number): Promise<Buffer | undefined>
  /** The next `size` bytes, piece by piece as they come. @throws TruncatedError */
  pieces(size: number): AsyncGenerator<Buffer, void, void>
  /** Consumes `size` bytes. @throws TruncatedError */
  skip(size: number): Promise<void>
  /** Consumes everything that is left. */
  drain(): Promise<void>
}

export const createByteReader = (source: AsyncIterable<Buffer>): ByteReader => {
  const chunks = source[Symbol.asyncIterator]()
  let chunk: Buffer = Buffer.alloc(0)
  let offset = 0
  let position = 0

  /** Makes sure that there is an unread byte in `chunk`; false at the end. */
  const advance = async (): Promise<boolean> => {
    while (offset === chunk.length) {
      const next = await chunks.next()
      if (next.done === true) return false
      chunk = next.value
      offset = 0
    }
    return true
  }

  const take = (most: number): Buffer => {
    const piece = chunk.subarray(offset, Math.min(offset + most, chunk.length))
    offset += piece.length
    position += piece.length
    return piece
  }

  async function* pieces(size: number): AsyncGenerator<Buffer, void, void> {
    for (let left = size; left > 0; ) {
      if (!(await advance())) throw new TruncatedError(`the archive ends ${left} bytes early`)
      const piece = take(left)
      left -= piece.length
      yield piece
    }
  }

  const read = async (size: number): Promise<Buffer | undefined> => {
    if (!(await advance())) return undefined
    if (chunk.length - offset >= size) return take(size)
    const parts: Buffer[] = []
    for await (const piece of pieces(size)) parts.push(piece)
    return Buffer.concat(parts)
  }

  const skip = async (size: number): Promise<void> => {
    for await (const _ of pieces(size));
  }

  const drain = async (): Promise<void> => {
    while (await advance()) take(Number.POSITIVE_INFINITY)
  }

  return { position: () => position, read, pieces, skip, drain }
}
