import { hasCode, shortly } from '../../../runtime-shim/mount/error-code.ts'
import type { OpenOverlay } from '../../../runtime-shim/mount/parts.ts'
import { syncFileSystem } from '../process/syscalls.ts'

const wordsOf = ({ source: { name }, content }: OpenOverlay, error: unknown): string => {
  if (!hasCode(error, 'ENOSPC', 'EDQUOT'))
    return `what was written last to overlay ${name} may be lost (${shortly(error)}): see lamina overlay check ${name}, and dmesg`
  if (content.kind !== 'ext3')
    return `the disk that overlay ${name} lies on is full: what was written last may be lost; make room there`
  const next =
    content.extent.offset > 0
      ? 'make a larger one with lamina overlay create, and copy what you need'
      : `lamina overlay resize ${name} SIZE makes it larger`
  return `overlay ${name} is full: what was written last may be lost; ${next}`
}

/**
 * Writes what is dirty of the root to the overlay that keeps it: what serves that is soon asked to end, and then takes
 * nothing more. Without such an overlay nothing is kept.
 *
 * @returns what to tell of what may be lost; undefined when all is written
 */
export const writeBack = (root: number, overlays: readonly OpenOverlay[]): string | undefined => {
  const written = overlays.find(({ source }) => source.access === 'ReadWrite')
  if (written === undefined) return
  try {
    syncFileSystem(root)
  } catch (error) {
    return wordsOf(written, error)
  }
}
