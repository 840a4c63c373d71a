import { realpathSync } from 'node:fs'
import { basename, dirname } from 'node:path'
import { BadImageError } from '../../../runtime-shim/mount/bad-image.ts'
import { openBase } from '../../../runtime-shim/mount/base.ts'
import { hasCode } from '../../../runtime-shim/mount/error-code.ts'
import { LockHeldError } from '../../../runtime-shim/mount/lock.ts'
import { type OpenBase, OverlayError } from '../../../runtime-shim/mount/parts.ts'
import { Refusal } from '../../shared/refusal.ts'
import { meantBy } from '../habits.ts'
import { inUse } from './in-use.ts'

/**
 * @param hint said where there is no such file
 * @throws Refusal
 */
export const realPathOf = (path: string, what: string, hint = ''): string => {
  try {
    return realpathSync(path)
  } catch (error) {
    if (hasCode(error, 'ENOENT', 'ENOTDIR'))
      throw new Refusal(`could not open ${what} ${path}: no such file or directory${hint}`)
    if (hasCode(error, 'EACCES')) throw new Refusal(`could not open ${what} ${path}: permission denied`)
    if (hasCode(error, 'ELOOP'))
      throw new Refusal(`could not open ${what} ${path}: its symbolic links lead in a circle`)
    throw error
  }
}

/** A file of the library's words, in those of this command line. */
const explain = (path: string, error: unknown): unknown => {
  if (error instanceof LockHeldError) return inUse(path, 'ReadOnly')
  if (error instanceof OverlayError && error.cause instanceof BadImageError && /ext3 overlay/.test(error.message))
    return new Refusal(
      `${path} is an overlay, and no container: give it with --overlay ${path}, and an image beside it`,
    )
  if (error instanceof OverlayError && error.cause instanceof BadImageError)
    return new Refusal(`could not open image ${error.message}; make one with lamina build`)
  if (error instanceof OverlayError) return new Refusal(`could not open image ${error.message}`)
  if (hasCode(error, 'EACCES')) return new Refusal(`could not open image ${path}: permission denied`)
  return error
}

/**
 * Opens the image at a path that its user gave, which may lead through links.
 *
 * @throws Refusal
 */
export const openImage = (path: string): OpenBase => {
  const real = realPathOf(path, 'image', meantBy(path))
  try {
    const source = { kind: 'below', directory: dirname(real), path: basename(real) || '.', shown: path } as const
    // Whoever may mount anyway can be trusted with what he mounts.
    return openBase(source, { allowExt3: true })
  } catch (error) {
    throw explain(path, error)
  }
}
