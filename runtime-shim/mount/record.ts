import {
  closeSync,
  constants,
  fchownSync,
  fstatSync,
  fsyncSync,
  openSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import * as z from 'zod/mini'
import { hasCode } from './error-code.ts'
import { overlayRecordName } from './names.ts'
import { descriptorPath, openBelow, openRegularBelow } from './open.ts'

/** `lamina.json`, beside `upper/`: what an overlay says of itself. One without it comes from elsewhere. */
const recordSchema = z.object({
  /** The image that it lies upon. */
  base: z.optional(z.object({ reference: z.string(), digest: z.string() })),
  /** Nothing in it is in a form that the kernel's overlayfs does not know ({@link ./foreign.ts}). */
  normalised: z.optional(z.boolean()),
})
export type OverlayRecord = z.infer<typeof recordSchema>

const longestRecord = 65_536

const parse = (text: string): OverlayRecord | undefined => {
  try {
    return recordSchema.safeParse(JSON.parse(text)).data
  } catch {
    return undefined
  }
}

/**
 * The record of the overlay whose top directory is open at `top`; undefined where
 * there is none, or one that a crash cut off.
 *
 * @throws UnsafePathError
 */
export const readOverlayRecord = (top: number): OverlayRecord | undefined => {
  let fd: number
  try {
    fd = openRegularBelow(top, overlayRecordName, 'read', overlayRecordName).fd
  } catch (error) {
    if (hasCode(error, 'ENOENT')) return undefined
    throw error
  }
  try {
    return fstatSync(fd).size > longestRecord ? undefined : parse(readFileSync(fd, 'utf8'))
  } finally {
    closeSync(fd)
  }
}

/** The descriptor may be one that only names it (O_PATH). */
const syncDirectory = (dirfd: number): void => {
  const fd = openSync(descriptorPath(dirfd), constants.O_RDONLY | constants.O_DIRECTORY)
  try {
    fsyncSync(fd)
  } finally {
    closeSync(fd)
  }
}

/** On its way to its name. */
const stagingName = `.${overlayRecordName}.new`

/**
 * Puts the record in the place of the one before, whole or not at all, and on disk:
 * a file system may be full, and the power may fail.
 *
 * @throws UnsafePathError
 */
export const writeOverlayRecord = (top: number, record: OverlayRecord): void => {
  const staging = `${descriptorPath(top)}/${stagingName}`
  rmSync(staging, { recursive: true, force: true })
  const flags = constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL
  const fd = openBelow(top, stagingName, flags, stagingName, 0o644)
  try {
    writeFileSync(fd, `${JSON.stringify(record)}\n`)
    // An ordinary user's overlay stays his: in a namespace of one id he could not take away what is another's.
    const { uid, gid } = fstatSync(top)
    fchownSync(fd, uid, gid)
    fsyncSync(fd)
    renameSync(staging, `${descriptorPath(top)}/${overlayRecordName}`)
    syncDirectory(top)
  } catch (error) {
    rmSync(staging, { force: true })
    throw error
  } finally {
    closeSync(fd)
  }
}
