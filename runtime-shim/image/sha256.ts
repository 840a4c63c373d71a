import { createHash } from 'node:crypto'
import type { FileHandle } from 'node:fs/promises'
import { setTimeout as sleep } from 'node:timers/promises'

const pieceSize = 2 ** 20

/**
 * `sha256:…` of an open file, from its beginning.
 *
 * @param bytesPerSecond not faster than that, to leave disk and processor to others
 */
export const sha256Of = async (
  file: FileHandle,
  { signal, bytesPerSecond = Number.POSITIVE_INFINITY }: { signal?: AbortSignal; bytesPerSecond?: number } = {},
): Promise<string> => {
  const hash = createHash('sha256')
  const buffer = Buffer.allocUnsafeSlow(pieceSize)
  const started = performance.now()
  for (let position = 0; ; ) {
    signal?.throwIfAborted()
    const { bytesRead } = await file.read(buffer, 0, pieceSize, position)
    if (bytesRead === 0) return `sha256:${hash.digest('hex')}`
    hash.update(buffer.subarray(0, bytesRead))
    position += bytesRead
    const aheadMs = (position / bytesPerSecond) * 1000 - (performance.now() - started)
    if (aheadMs > 1) await sleep(aheadMs, undefined, { signal })
  }
}
