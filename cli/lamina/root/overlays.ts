import {
  closeSync,
  existsSync,
  fstatSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { basename, dirname, join } from 'node:path'
import { BadImageError } from '../../../runtime-shim/mount/bad-image.ts'
import { hasCode } from '../../../runtime-shim/mount/error-code.ts'
import { overlayLayer } from '../../../runtime-shim/mount/image-file.ts'
import { LockHeldError } from '../../../runtime-shim/mount/lock.ts'
import { lockFileName } from '../../../runtime-shim/mount/names.ts'
import { openOverlays } from '../../../runtime-shim/mount/overlays.ts'
import {
  type OpenOverlay,
  OverlayDamagedError,
  OverlayError,
  type OverlaySource,
} from '../../../runtime-shim/mount/parts.ts'
import { NotExt3Error } from '../../../runtime-shim/mount/superblock.ts'
import { makeSkeleton } from '../../../runtime-shim/runtime/skeleton.ts'
import { Refusal } from '../../shared/refusal.ts'
import { assertOneWriter, type OverlayArgument } from '../arguments.ts'
import { temporaryDirectory } from '../firm.ts'
import { growthNote } from '../overlay/growth-note.ts'
import { realPathOf } from './base.ts'
import { inUse } from './in-use.ts'

/** What lies there. */
export interface FoundOverlay {
  /** As its user called it. */
  shown: string
  /** Without links. */
  path: string
  kind: 'ext3' | 'squashfs' | 'directory'
  access: 'ReadWrite' | 'ReadOnly'
}

const fileKind = (path: string, shown: string): 'ext3' | 'squashfs' => {
  const fd = openSync(path, 'r')
  try {
    return overlayLayer(fd, fstatSync(fd).size).kind
  } catch (error) {
    if (error instanceof NotExt3Error) throw new Refusal(`${shown}: file is not a valid ext3 image: ${error.message}`)
    if (error instanceof BadImageError)
      throw new Refusal(`${shown} cannot be an overlay: ${error.message}; make one with lamina overlay create`)
    throw error
  } finally {
    closeSync(fd)
  }
}

const kindOf = (path: string, shown: string): FoundOverlay['kind'] => {
  const stats = statSync(path)
  if (stats.isDirectory()) return 'directory'
  if (stats.isFile()) return fileKind(path, shown)
  throw new Refusal(
    `${shown} is neither a file nor a directory, and cannot be an overlay; make one with lamina overlay create`,
  )
}

const openable = <T>(shown: string, act: () => T): T => {
  try {
    return act()
  } catch (error) {
    if (hasCode(error, 'EACCES')) throw new Refusal(`could not open overlay ${shown}: permission denied`)
    throw error
  }
}

const assertNotCutOff = (path: string, shown: string): void => {
  if (existsSync(join(dirname(path), growthNote(basename(path)))))
    throw new Refusal(`making ${shown} larger was cut off: run lamina overlay check --repair ${shown}`)
}

const find = ({ path: shown, access }: OverlayArgument): FoundOverlay => {
  const path = realPathOf(shown, 'overlay')
  const kind = openable(shown, () => kindOf(path, shown))
  if (kind === 'squashfs' && access === 'ReadWrite')
    throw new Refusal(`${shown} is a squashfs, which cannot be written: give it as ${shown}:ro`)
  const found = { shown, path, kind, access: access ?? (kind === 'squashfs' ? 'ReadOnly' : 'ReadWrite') }
  if (found.access === 'ReadWrite' && kind === 'ext3') assertNotCutOff(path, shown)
  return found
}

const assertOnce = (overlays: readonly FoundOverlay[]): void => {
  const seen = new Set<string>()
  for (const { path, shown } of overlays) {
    if (seen.has(path)) throw new Refusal(`${shown} is given twice: give each overlay once`)
    seen.add(path)
  }
}

/** Looks at what is given. @throws Refusal */
export const findOverlays = (overlays: readonly OverlayArgument[]): FoundOverlay[] => {
  const found = overlays.map(find)
  assertOneWriter(found.map(({ shown, access }) => ({ path: shown, access })))
  assertOnce(found)
  return found
}

const ofOverlays = new Set(['upper', 'work', 'lost+found', lockFileName])

/** Elsewhere first: who else writes to the directory could have it made by way of a link. */
const addLockFile = (path: string): void => {
  const scratch = mkdtempSync(join(temporaryDirectory(), 'lamina-skeleton-'))
  try {
    makeSkeleton(join(scratch, lockFileName))
    writeFileSync(join(path, lockFileName), readFileSync(join(scratch, lockFileName)), { flag: 'wx' })
  } finally {
    rmSync(scratch, { recursive: true, force: true })
  }
}

/** A directory that is written gets a file for its lock. @throws Refusal */
const prepareDirectory = (path: string, shown: string): void => {
  if (existsSync(join(path, lockFileName))) return
  const strange = readdirSync(path).find((name) => !ofOverlays.has(name) && !name.startsWith('.'))
  if (strange !== undefined)
    throw new Refusal(
      `${shown} has "${strange}" in it, and an overlay's directory has only upper/ and work/: give an empty directory, or ${shown}:ro to lay it over the image as it is`,
    )
  addLockFile(path)
}

const sourceOf = ({ shown, path, kind, access }: FoundOverlay): OverlaySource => {
  const common = { name: shown, uid: path, access }
  if (kind !== 'directory' || access === 'ReadOnly')
    return {
      ...common,
      volume: { kind: 'directory', path: dirname(path) },
      format: 'Image',
      path: basename(path) || '.',
    }
  prepareDirectory(path, shown)
  return { ...common, volume: { kind: 'directory', path }, format: 'Directory', path: '.' }
}

/** The library calls them by name, or by where in their directory they are. */
const blamed = (overlays: readonly FoundOverlay[], error: Error): FoundOverlay | undefined =>
  error instanceof OverlayDamagedError
    ? overlays.find(({ path }) => path === error.overlay.uid)
    : (overlays.find(({ shown }) => error.message.includes(`overlay "${shown}"`)) ??
      overlays.find(({ path }) => error.message.startsWith(`${basename(path)} in its volume`)) ??
      (overlays.length === 1 ? overlays[0] : undefined))

/** In the words of this command line, where it has its own. */
export const explainOverlay = (overlays: readonly FoundOverlay[], error: unknown): unknown => {
  if (!(error instanceof OverlayError || error instanceof LockHeldError)) return error
  const overlay = blamed(overlays, error)
  const held = error instanceof LockHeldError || error.cause instanceof LockHeldError
  if (overlay && held) return inUse(overlay.shown, overlay.access)
  if (overlay && hasCode(error.cause, 'EROFS'))
    return new Refusal(`${overlay.shown} lies on a read-only file system: give it as ${overlay.shown}:ro`)
  if (overlay && error instanceof OverlayDamagedError)
    return new Refusal(`overlay ${overlay.shown}: ${error.damage}: see lamina overlay check ${overlay.shown}`)
  return new Refusal(error.message)
}

/**
 * Opens and locks the overlays.
 *
 * @throws Refusal
 */
export const openFound = (found: readonly FoundOverlay[]): OpenOverlay[] => {
  try {
    return openOverlays(found.map(sourceOf), 0)
  } catch (error) {
    throw explainOverlay(found, error)
  }
}
