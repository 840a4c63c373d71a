import { randomBytes } from 'node:crypto'
import {
  closeSync,
  existsSync,
  lstatSync,
  openSync,
  readFileSync,
  renameSync,
  rmSync,
  utimesSync,
  writeFileSync,
} from 'node:fs'
import { basename, dirname, join } from 'node:path'
import * as z from 'zod/mini'
import { isDigest } from '../../../kube/digest.ts'
import { hasCode } from '../../mount/error-code.ts'
import { flock, lockKind } from '../../mount/syscalls.ts'
import { currentBootID } from '../../node/boot.ts'
import { imagePaths, type NodeLayout } from '../../node/layout.ts'
import { namesIn } from '../../node/names-in.ts'
import { Trouble } from '../trouble.ts'

/**
 * An image of the cache: a directory named by its digest, with the image's file
 * and what is known of it. It appears by a rename, when it is whole and on disk.
 * Names with a dot are none: they are under way, or on their way out.
 */

type Layout = Pick<NodeLayout, 'cacheDir'>

/** Is being made. */
export const stagingPrefix = '.making-'
/** Was in use when it had to go: gone when it is free. */
const asidePrefix = '.aside-'
/** Is being removed. */
const removedPrefix = '.removed-'

const metaSchema = z.object({
  reference: z.string(),
  sizeBytes: z.number(),
  /** The image configuration's `User`. */
  user: z.string(),
  /** `sha256:…` of the file. */
  fileDigest: z.string(),
})
export type Meta = z.infer<typeof metaSchema>

export interface Entry {
  digest: string
  dir: string
  file: string
  meta: string
  /** Holds the boot ID under which the file was last found to be as it was made. */
  verified: string
}

export type State =
  | { kind: 'absent' }
  | { kind: 'whole'; meta: Meta }
  /** `what` is about "it". */
  | { kind: 'broken'; what: string }

export const cacheRoot = ({ cacheDir }: Layout): string => join(cacheDir, 'images')

/** @throws Trouble for what is no digest: it would be a path */
export const entryOf = (layout: Layout, digest: string): Entry => {
  if (!isDigest(digest)) {
    throw new Trouble(
      'ImageReferenceInvalid',
      `"${digest}" is not the digest of an image: sha256 or sha512 in hexadecimal`,
    )
  }
  const paths = imagePaths(layout, digest)
  return { digest, ...paths, verified: join(paths.dir, 'verified') }
}

/** Undefined for a directory of another name. */
export const digestOfDirectory = (dir: string): string | undefined => {
  const digest = basename(dir).replace('-', ':')
  return isDigest(digest) ? digest : undefined
}

export const entriesIn = (layout: Layout): Entry[] =>
  namesIn(cacheRoot(layout)).flatMap((name) => {
    const digest = digestOfDirectory(name)
    return digest === undefined ? [] : [entryOf(layout, digest)]
  })

const readMeta = (path: string): Meta | undefined => {
  try {
    return metaSchema.parse(JSON.parse(readFileSync(path, 'utf8')))
  } catch {
    return undefined
  }
}

/** What it says that it is, whole or not. */
export const referenceOf = ({ meta }: Pick<Entry, 'meta'>): string | undefined => readMeta(meta)?.reference

/** Sees what a look at the directory shows: files that are missing, cut off or no image's. */
export const examine = ({ dir, file, meta: metaFile }: Entry): State => {
  if (!existsSync(dir)) return { kind: 'absent' }
  const meta = readMeta(metaFile)
  if (!meta) return { kind: 'broken', what: 'its meta.json is missing or damaged' }
  const stats = lstatSync(file, { throwIfNoEntry: false })
  if (!stats?.isFile()) return { kind: 'broken', what: 'its file is missing' }
  if (stats.size !== meta.sizeBytes)
    return { kind: 'broken', what: `its file has ${stats.size} bytes, and had ${meta.sizeBytes}` }
  return { kind: 'whole', meta }
}

export const lastUseOf = ({ meta }: Entry): number => lstatSync(meta, { throwIfNoEntry: false })?.mtimeMs ?? 0

/** The time of meta.json is that of the last use: it outlives the agent. */
export const noteUse = ({ meta }: Entry, now: Date): void => {
  try {
    utimesSync(meta, now, now)
  } catch (error) {
    // Images that are there serve on, though their disk takes no writes any more.
    if (!hasCode(error, 'EROFS')) throw error
  }
}

export const noteVerified = ({ verified }: Entry): void => writeFileSync(verified, currentBootID())

/** Files are verified once a boot: what was torn by a loss of power shows then. */
export const isVerified = ({ verified }: Entry): boolean => {
  try {
    return readFileSync(verified, 'utf8') === currentBootID()
  } catch (error) {
    if (hasCode(error, 'ENOENT')) return false
    throw error
  }
}

const asideName = (dir: string, prefix: string): string => {
  const name = basename(dir).replace(/^\.[a-z]+-/, '')
  return join(dirname(dir), `${prefix}${name}-${randomBytes(4).toString('hex')}`)
}

/** Under another name first: whoever is killed half-way leaves nothing that looks like an image. */
const removeDirectory = (dir: string): void => {
  const leaving = asideName(dir, removedPrefix)
  renameSync(dir, leaving)
  rmSync(leaving, { recursive: true })
}

/**
 * Removes the image unless a mount has it: every mount holds a shared lock on the
 * file. A runtime that has opened it and not yet locked it finds no link to it
 * afterwards.
 *
 * @returns false when it is in use
 */
export const removeIfFree = ({ dir, file }: Pick<Entry, 'dir' | 'file'>): boolean => {
  let fd: number
  try {
    fd = openSync(file, 'r')
  } catch (error) {
    if (!hasCode(error, 'ENOENT')) throw error
    if (existsSync(dir)) removeDirectory(dir)
    return true
  }
  try {
    flock(fd, lockKind.exclusive, { wait: false })
    removeDirectory(dir)
    return true
  } catch (error) {
    if (hasCode(error, 'EAGAIN')) return false
    throw error
  } finally {
    closeSync(fd)
  }
}

/** Removes the image, or takes it out of the way of new starts, if a mount has it. @returns whether one has */
export const evict = (entry: Entry): { inUse: boolean } => {
  if (removeIfFree(entry)) return { inUse: false }
  renameSync(entry.dir, asideName(entry.dir, asidePrefix))
  return { inUse: true }
}

const directoriesOf = (layout: Layout, ...prefixes: string[]): string[] =>
  namesIn(cacheRoot(layout))
    .filter((name) => prefixes.some((prefix) => name.startsWith(prefix)))
    .map((name) => join(cacheRoot(layout), name))

/** Removes what was set aside while it was in use, and is no more. */
export const removeAside = (layout: Layout): void => {
  for (const dir of directoriesOf(layout, asidePrefix)) removeIfFree({ dir, file: join(dir, 'image') })
}

/** Removes what a killed agent was at; to be called before the first work of this one. */
export const sweepImageCache = (layout: Layout): void => {
  for (const dir of directoriesOf(layout, stagingPrefix, removedPrefix)) rmSync(dir, { recursive: true, force: true })
  removeAside(layout)
}
