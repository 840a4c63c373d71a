import type { NodeReason } from '../../../kube/node-reasons.ts'
import { BadImageError } from '../../mount/bad-image.ts'
import { hasCode } from '../../mount/error-code.ts'
import { LockHeldError } from '../../mount/lock.ts'
import { UnsafePathError } from '../../mount/open.ts'
import { OverlayError } from '../../mount/parts.ts'
import { NotExt3Error } from '../../mount/superblock.ts'
import { Trouble } from '../trouble.ts'
import { insteadOfThis } from './advice.ts'
import { prepareDevice } from './device.ts'
import { prepareDirectory } from './directory.ts'
import { prepareImage } from './image.ts'
import type { Preparation, PreparedOverlay } from './preparation.ts'
import { ToolError } from './tools.ts'

const whereOf = ({ volume, path }: Preparation): string =>
  volume.kind === 'device' ? 'its device' : `${path} in its volume`

const toolReasons = {
  'mkfs.ext3': 'OverlayNotMade',
  e2fsck: 'OverlayNotChecked',
  resize2fs: 'OverlayNotGrown',
  blkid: 'OverlayNotMade',
} as const

const asTrouble = (preparation: Preparation, error: unknown): unknown => {
  const name = `overlay "${preparation.overlay}"`
  const trouble = (reason: NodeReason, why: string): Trouble => new Trouble(reason, `${name}: ${why}`, { cause: error })
  if (error instanceof LockHeldError) return trouble('OverlayInUse', error.message)
  if (error instanceof UnsafePathError) return trouble('OverlayUnsafe', error.message)
  if (error instanceof OverlayError) return trouble('OverlayVolumeUnsuitable', error.message)
  if (error instanceof NotExt3Error || error instanceof BadImageError)
    return trouble(
      'OverlayNotExt3',
      `${whereOf(preparation)} is not an overlay (${error.message}); it is left as it is: ${insteadOfThis(preparation)}`,
    )
  if (error instanceof ToolError) return trouble(toolReasons[error.tool], error.message)
  if (hasCode(error, 'EROFS'))
    return trouble('OverlayVolumeUnsuitable', 'its volume is mounted read-only, and must be written to prepare it')
  return error
}

/**
 * Makes ready what is to be mounted: makes it where nothing is there; looks over
 * and imports what is new here; for a writer also checks it where errors are on
 * record, and grows it. Never formats or replaces what is there. One at a time for
 * an overlay and node.
 *
 * @throws Trouble in words for the user
 */
export const prepareOverlay = async (preparation: Preparation): Promise<PreparedOverlay> => {
  const { volume, format } = preparation
  try {
    if (volume.kind === 'device') return await prepareDevice(volume, preparation)
    return format === 'Directory'
      ? await prepareDirectory(volume.path, preparation)
      : await prepareImage(volume.path, preparation)
  } catch (error) {
    throw asTrouble(preparation, error)
  }
}
