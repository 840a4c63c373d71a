import { closeSync, constants, fstatSync, ftruncateSync, readFileSync, writeFileSync } from 'node:fs'
import * as z from 'zod/mini'
import { hasCode } from './error-code.ts'
import { overlayRecordName } from './names.ts'
import { openBelow, openRegularBelow } from './open.ts'

/** `lamina.json`, beside `upper/`: what an overlay says of itself. One without it comes from elsewhere. */
const recordSchema = z.object({
  /** The image that it was first written upon. */
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

const openForWriting = (top: number): number => {
  try {
    return openRegularBelow(top, overlayRecordName, 'write', overlayRecordName).fd
  } catch (error) {
    if (!hasCode(error, 'ENOENT')) throw error
  }
  const flags = constants.O_RDWR | constants.O_CREAT | constants.O_EXCL
  return openBelow(top, overlayRecordName, flags, overlayRecordName, 0o644)
}

/**
 * Writes the record in place: what a crash cuts off counts as none, and an overlay
 * without one is looked through once more.
 *
 * @throws UnsafePathError
 */
export const writeOverlayRecord = (top: number, record: OverlayRecord): void => {
  const fd = openForWriting(top)
  try {
    ftruncateSync(fd)
    writeFileSync(fd, `${JSON.stringify(record)}\n`)
  } finally {
    closeSync(fd)
  }
}
