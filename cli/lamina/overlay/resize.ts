import { fstatSync, fsyncSync } from 'node:fs'
import { mebibytes } from '../../../kube/quantity.ts'
import { check } from '../../../runtime-shim/agent/overlay/check.ts'
import { growthLimit, readGeometry } from '../../../runtime-shim/agent/overlay/geometry.ts'
import { canGrow, grow } from '../../../runtime-shim/agent/overlay/grow.ts'
import type { Target } from '../../../runtime-shim/agent/overlay/preparation.ts'
import { ToolError } from '../../../runtime-shim/agent/overlay/tools.ts'
import { hasCode } from '../../../runtime-shim/mount/error-code.ts'
import { Refusal } from '../../shared/refusal.ts'
import type { Layout } from '../layout.ts'
import { inform } from '../say.ts'
import { assertRoom } from './create.ts'
import { withOverlay } from './file.ts'
import { reserve } from './reserve.ts'

/** @throws Refusal */
const assertPossible = ({ fd, extent, what }: Target, size: number): void => {
  if (extent.offset > 0)
    throw new Refusal(
      `${what} has something before its file system, and cannot grow: make a larger overlay, and copy what you need`,
    )
  if (size < extent.size)
    throw new Refusal(
      `<size> ${mebibytes(size)} is less than the ${mebibytes(extent.size)} that ${what} has, and overlays do not shrink: make a smaller one, and copy what you need`,
    )
  const geometry = readGeometry(fd)
  const limit = growthLimit(geometry) * geometry.blockSize
  if (size > limit)
    throw new Refusal(
      `${what} was made to grow to ${mebibytes(limit)} at most: make a larger overlay, and copy what you need`,
    )
}

/** One with holes keeps them. */
const isSparse = (fd: number): boolean => {
  const { blocks, size } = fstatSync(fd)
  return blocks * 512 < size
}

/** @throws Refusal when there is no room */
const enlarge = ({ fd, directory, extent }: Target, size: number): void => {
  const sparse = isSparse(fd)
  if (!sparse) assertRoom(directory ?? '.', size - extent.size)
  reserve(fd, { size, sparse })
}

const resize = async (target: Target, size: number): Promise<void> => {
  const { fd, what, undertaking } = target
  assertPossible(target, size)
  const wanted = { ...target, extent: { offset: 0, size }, growsTo: size }
  const progress = { overlay: what, onProgress: () => {} }
  const isOurDoing = undertaking.read() !== undefined
  if (!isOurDoing && !canGrow(wanted)) return inform(`${what} has ${mebibytes(size)} already`)
  const { damaged } = await check(target, progress, isOurDoing ? 'all' : 'preen')
  if (damaged !== undefined)
    throw new Refusal(`${what} has errors, and does not grow before they are mended: see lamina overlay check ${what}`)
  await undertaking.clear()
  enlarge(target, size)
  await grow(wanted, progress)
  fsyncSync(fd)
  inform(`${what}: ${mebibytes(target.extent.size)} → ${mebibytes(size)}`)
}

/**
 * Makes an overlay's file and file system larger, while nobody uses it. Ctrl-C does not cut that off; what else
 * does leaves a note, by which the next check or growth mends it.
 *
 * @param size bytes
 * @throws Refusal
 */
export const resizeOverlay = async (shown: string, size: number, layout: Layout): Promise<void> => {
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => {})
  try {
    await withOverlay(shown, 'write', layout, (target) => resize(target, size))
  } catch (error) {
    if (error instanceof ToolError) throw new Refusal(error.message)
    if (hasCode(error, 'EFBIG')) throw new Refusal(`${shown}: its file system cannot hold a file of ${mebibytes(size)}`)
    if (hasCode(error, 'ENOSPC', 'EDQUOT'))
      throw new Refusal(`no space left for ${shown}, which would take ${mebibytes(size)}`)
    throw error
  }
}
