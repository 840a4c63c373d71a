import { fsync } from 'node:fs'
import { promisify } from 'node:util'
import { mebibytes } from '../../../kube/quantity.ts'
import { Trouble } from '../trouble.ts'
import { growthLimit, reachableBlocks, readGeometry } from './geometry.ts'
import type { Preparation, Target } from './preparation.ts'
import { runTool } from './tools.ts'

const sync = promisify(fsync)

/** Whether the file system would have more blocks than it has. */
export const canGrow = ({ fd, extent, growsTo }: Target): boolean => {
  const geometry = readGeometry(fd, extent.offset)
  return growsTo !== undefined && geometry.blocks < reachableBlocks(geometry, growsTo)
}

/**
 * Grows the file system, offline. resize2fs(8) is not safe against being cut off,
 * so a note says that it is under way: what is wrong with the file system then is
 * known to be its doing.
 *
 * @throws ToolError
 * @throws Trouble where there is no room for the descriptors of so many groups: making it would move what is there
 */
export const grow = async (
  target: Target,
  { overlay, onProgress }: Pick<Preparation, 'overlay' | 'onProgress'>,
): Promise<void> => {
  const { fd, extent, undertaking, growsTo = 0 } = target
  const geometry = readGeometry(fd, extent.offset)
  const blocks = reachableBlocks(geometry, growsTo)
  const limit = growthLimit(geometry)
  if (blocks > limit) {
    throw new Trouble(
      'OverlayTooSmall',
      `overlay "${overlay}" was made to grow to ${mebibytes(limit * geometry.blockSize)} at most, and ${mebibytes(growsTo)} are asked for: make a larger overlay and copy what you need`,
    )
  }
  onProgress(`overlay "${overlay}": growing to ${mebibytes(growsTo)}`)
  await undertaking.write('growing')
  await runTool(target, { tool: 'resize2fs', options: [], blocks })
  await sync(fd)
  await undertaking.clear()
}
