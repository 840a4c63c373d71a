import { runWorker, workerProgram } from '../../../runtime-shim/agent/overlay/run-worker.ts'
import { namesInRoot } from '../../../runtime-shim/mount/ext3-root.ts'
import { overlayRecordName } from '../../../runtime-shim/mount/names.ts'
import type { OpenOverlay } from '../../../runtime-shim/mount/parts.ts'
import { Refusal } from '../../shared/refusal.ts'
import { inform } from '../say.ts'

/** An image that has files, and has never been written by the kernel through us. */
const isForeign = ({ fd, source, content }: OpenOverlay): boolean => {
  if (source.access !== 'ReadWrite' || content.kind !== 'ext3') return false
  const names = namesInRoot(fd, content.extent.offset)
  return names.includes('upper') && !names.includes(overlayRecordName)
}

/**
 * Gives marks of deleted files that another tool has written (fuse-overlayfs, of an
 * ordinary user's runs) the kernel's own form, before an overlay is written the first time.
 *
 * @throws Refusal
 */
export const takeOver = async (overlay: OpenOverlay, lockDir: string): Promise<void> => {
  if (!isForeign(overlay) || overlay.content.kind !== 'ext3') return
  const { fd, content, source } = overlay
  const answer = await runWorker(workerProgram(), { fd }, { kind: 'image', extent: content.extent, lockDir })
  if (answer.error !== undefined)
    throw new Refusal(`overlay ${source.name} cannot be taken over from the tool that wrote it: ${answer.error}`)
  if (answer.normalised > 0)
    inform(`${source.name}: marks of deleted files rewritten as the kernel knows them: ${answer.normalised}`)
}
