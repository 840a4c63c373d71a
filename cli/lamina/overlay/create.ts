import { fstatSync, mkdirSync, mkdtempSync, rmSync, statfsSync, statSync } from 'node:fs'
import { dirname, join, posix, resolve } from 'node:path'
import { mebibytes } from '../../../kube/quantity.ts'
import { thirdDescriptor } from '../../../runtime-shim/image/unprivileged.ts'
import { hasCode } from '../../../runtime-shim/mount/error-code.ts'
import { Refusal } from '../../shared/refusal.ts'
import { temporaryDirectory } from '../firm.ts'
import { type FileInMaking, makeFile } from '../image/new-file.ts'
import { runOn } from '../process/run-on.ts'
import { reserve } from './reserve.ts'

export interface OverlayCreation {
  path: string
  /** Bytes. */
  size: number
  /** Takes blocks only as they are written. */
  sparse: boolean
  /** Directories of the container that are to be there, and the caller's own. */
  directories: readonly string[]
  /** For containers in which an ordinary user is root: then what is his, is root's in there. */
  fakeroot: boolean
}

/** Makes the tree that mkfs.ext3 copies, owners and all. */
const makeTree = (tree: string, directories: readonly string[]): void => {
  // They are the container's, where others are to find their way too.
  const umask = process.umask(0o022)
  for (const name of ['upper', 'work']) mkdirSync(join(tree, name), 0o755)
  // A path is the container's: it cannot lead out of it.
  for (const path of directories) {
    try {
      mkdirSync(join(tree, 'upper', posix.join('/', path)), { recursive: true, mode: 0o755 })
    } catch (error) {
      if (!hasCode(error, 'ENAMETOOLONG')) throw error
      throw new Refusal(`--create-dir ${path}: a name in it is too long: give a shorter one`)
    }
  }
  process.umask(umask)
}

const ids = (): string => `${process.getuid?.() ?? 0}:${process.getgid?.() ?? 0}`

/** In a user namespace the caller's own files are root's, and that is how mkfs.ext3 copies them. */
const asFakeroot = ['unshare', '--map-root-user', '--']

/**
 * Features of plain ext3, so that Apptainer opens it too; blocks that were
 * reserved stay reserved, and are written, or each later commit would convert some.
 */
const format = async (
  { fd, signal }: FileInMaking,
  { sparse, directories, fakeroot }: OverlayCreation,
): Promise<void> => {
  const tree = mkdtempSync(join(temporaryDirectory(), 'lamina-overlay-'))
  const extended = `${sparse ? 'discard' : 'nodiscard'},root_owner=${fakeroot ? '0:0' : ids()}`
  const args = ['mkfs.ext3', '-F', '-q', '-b', '4096', '-m', '0', '-E', extended, '-d', tree, thirdDescriptor]
  try {
    makeTree(tree, directories)
    const PATH = `${process.env.PATH ?? ''}:/usr/sbin:/sbin`
    const env = { PATH, LC_ALL: 'C', UNIX_IO_NOZEROOUT: '1' }
    const words = fakeroot && process.getuid?.() !== 0 ? [...asFakeroot, ...args] : args
    const { exitCode, stderr } = await runOn(fd, words, { env, signal })
    if (exitCode !== 0) throw new Refusal(`mkfs.ext3 failed: ${stderr.trim()}`)
  } catch (error) {
    if (hasCode(error, 'ENOENT')) throw new Refusal('mkfs.ext3 is not installed: install e2fsprogs')
    throw error
  } finally {
    rmSync(tree, { recursive: true, force: true })
  }
}

export const assertRoom = (directory: string, bytes: number): void => {
  const { bavail, bsize } = statfsSync(directory)
  if (bavail * bsize < bytes)
    throw new Refusal(
      `no space left on ${directory}: the image takes ${mebibytes(bytes)}, and ${mebibytes(bavail * bsize)} are free: make room, or use --size or --sparse`,
    )
}

const isThere = (shown: string): string =>
  `${shown} already exists, and is left as it is: give another name, or remove it first`

/** @throws Refusal */
const assertPlace = (path: string, shown: string): void => {
  const directory = dirname(path)
  if (!statSync(directory, { throwIfNoEntry: false })?.isDirectory())
    throw new Refusal(`could not create ${shown}: there is no directory ${directory}: make that first`)
  if (statSync(path, { throwIfNoEntry: false })) throw new Refusal(isThere(shown))
}

const fill = async (file: FileInMaking, creation: OverlayCreation): Promise<void> => {
  reserve(file.fd, creation)
  await format(file, creation)
  reserve(file.fd, { ...creation, size: fstatSync(file.fd).size })
}

const explain = (error: unknown, { path, size }: OverlayCreation): unknown => {
  if (hasCode(error, 'EEXIST')) return new Refusal(isThere(path))
  if (hasCode(error, 'EACCES', 'EPERM')) return new Refusal(`could not create ${path}: permission denied`)
  if (hasCode(error, 'ENAMETOOLONG')) return new Refusal(`could not create ${path}: its name is too long`)
  if (hasCode(error, 'EROFS')) return new Refusal(`could not create ${path}: its file system is read-only`)
  if (hasCode(error, 'EFBIG'))
    return new Refusal(`could not create ${path}: its file system cannot hold a file of ${mebibytes(size)}`)
  if (hasCode(error, 'ENOSPC', 'EDQUOT'))
    return new Refusal(
      `no space left for ${path}, which takes ${mebibytes(size)}: make room, or use --size or --sparse`,
    )
  return error
}

/** Makes an ext3 overlay image, whole or not at all. @throws Refusal */
export const createOverlay = async (creation: OverlayCreation): Promise<void> => {
  const path = resolve(creation.path)
  assertPlace(path, creation.path)
  if (!creation.sparse) assertRoom(dirname(path), creation.size)
  try {
    await makeFile(path, { mode: 0o600, replaces: false }, (file) => fill(file, creation))
  } catch (error) {
    throw explain(error, creation)
  }
}
